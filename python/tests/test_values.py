"""Values are read back from JSON as they were, or refused with their position."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import types
import uuid

import pytest

from rework.values import MAX_DEPTH, dumps, loads

CET = dt.timezone(dt.timedelta(hours=1))
LOCAL_MEAN_TIME = dt.timezone(dt.timedelta(minutes=19, seconds=32, microseconds=5))


@pytest.mark.parametrize(
    'value',
    [
        None,
        True,
        False,
        0,
        -1,
        2**100,
        0.1,
        -0.0,
        1e308,
        5e-324,
        '',
        'hé \u2028 \U0001f600',
        'nul \x00 in text',
        [],
        {},
        [[], {}, [None]],
        {'a': {'b': [1, 2.5, 'c']}, '': 1},
        b'',
        b'\x00\xff' * 1000,
        dt.datetime(1973, 5, 20),
        dt.datetime(1, 1, 1),
        dt.datetime.max,
        dt.datetime(1973, 5, 20, 9, 0, 1, 20, tzinfo=dt.timezone.utc),
        dt.datetime(1973, 5, 20, tzinfo=CET),
        dt.datetime(1891, 3, 15, tzinfo=LOCAL_MEAN_TIME),
        dt.date(1973, 5, 20),
        {'$bytes': 1, 'other': 2},
        {'$other': 'x'},
        [{'when': dt.date.min}, {'data': b'x'}],
    ],
)
def test_a_value_is_read_back_with_its_type(value):
    back = loads(dumps(value))
    assert back == value
    assert type(back) is type(value)
    assert loads(dumps(value).encode()) == value


def test_text_is_compact_and_not_escaped():
    assert dumps({'n': [1, 2.0], 's': 'hé'}) == '{"n":[1,2.0],"s":"hé"}'


def test_bytes_and_dates_have_their_documented_form():
    assert json.loads(dumps(b'\xff\x00')) == {'$bytes': '/wA='}
    assert json.loads(dumps(dt.datetime(1973, 5, 20, 9))) == {'$datetime': '1973-05-20T09:00:00'}
    assert json.loads(dumps(dt.date(1973, 5, 20))) == {'$date': '1973-05-20'}


def test_negative_zero_and_the_offset_of_a_datetime_are_kept():
    assert math.copysign(1, loads(dumps(-0.0))) == -1
    assert loads(dumps(dt.datetime(2024, 1, 1, tzinfo=CET))).utcoffset() == dt.timedelta(hours=1)
    assert loads(dumps(dt.datetime(2024, 1, 1))).tzinfo is None


def test_subclasses_of_plain_types_become_plain():
    class Colour(str, enum.Enum):
        RED = 'red'

    class Level(enum.IntEnum):
        HIGH = 3

    Point = collections.namedtuple('Point', 'x y')
    value = {
        't': (1, (2,)),
        'p': Point(1, 2),
        'd': collections.OrderedDict(a=1),
        'e': [Colour.RED, Level.HIGH],
        'shared': [CET.utcoffset(None).days] * 2,
    }
    assert loads(dumps(value)) == {
        't': [1, [2]],
        'p': [1, 2],
        'd': {'a': 1},
        'e': ['red', 3],
        'shared': [0, 0],
    }


def test_notations_of_other_clients_are_read():
    assert loads('{"$datetime": "2024-1-2T03:04:05.123456789Z"}') == dt.datetime(
        2024, 1, 2, 3, 4, 5, 123456, tzinfo=dt.timezone.utc
    )
    assert loads('{"$bytes": "aGVs\\nbG8="}') == b'hello'


def object_of(module, name):
    """Return an object of a class that claims to be from a package, which need not be installed."""
    return type(name, (), {'__module__': module})()


@dataclasses.dataclass
class Point:
    x: int


class Unprintable(int):
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ('value', 'message', 'remedy'),
    [
        (math.nan, 'is nan', 'pass None'),
        (-math.inf, 'is -inf', 'pass None'),
        ({1}, 'a set', '`sorted(...)`'),
        (frozenset(), 'a frozenset', '`sorted(...)`'),
        ({}.keys(), 'a dict_keys', '`sorted(...)`, or a list'),
        ({}.values(), 'a dict_values', '`list(...)`'),
        (range(3), 'a range', '`list(...)`'),
        (iter([]), 'a list_iterator', '`list(...)`'),
        (collections.deque(), 'a collections.deque', '`list(...)`'),
        (types.MappingProxyType({}), 'a mappingproxy', '`dict(...)`'),
        (bytearray(b'x'), 'a bytearray', '`bytes(...)`'),
        (memoryview(b'x'), 'a memoryview', '`bytes(...)`'),
        (1j, 'a complex', '`.real`'),
        (decimal.Decimal(1), 'a decimal.Decimal', '`str(...)`'),
        (uuid.UUID(int=1), 'a uuid.UUID', '`str(...)`'),
        (pathlib.PurePosixPath('/'), 'PurePosixPath', '`str(...)`'),
        (KeyError('x'), 'a KeyError', '`str(...)`'),
        (dt.timedelta(1), 'a datetime.timedelta', '`.total_seconds()`'),
        (dt.time(1), 'a datetime.time', '`.isoformat()`'),
        (enum.Enum('E', 'A').A, 'E', '`.value`'),
        (Point(1), 'Point', '`dataclasses.asdict(...)`'),
        (Point, 'the class', 'its name'),
        (test_bytes_and_dates_have_their_documented_form, 'a function', 'its name'),
        (math, 'a module', 'its name'),
        (open(__file__), '_io.TextIOWrapper', '`.read()`'),  # noqa: SIM115
        (object_of('numpy', 'ndarray'), 'a numpy.ndarray', 'pass a list (`.tolist()`), or bytes'),
        (object_of('pandas', 'DataFrame'), 'a pandas.DataFrame', "`.to_dict('records')`"),
        (object(), 'an object', 'turn it into numbers, strings, lists and dicts, or into bytes'),
        (10**5000, 'a whole number of more than 4200 digits', '`hex(...)`'),
        ('\ud800', 'UTF-8 cannot encode (U+D800 at character 1)', 'pass bytes'),
        ({'\udfff': 1}, 'has a key that UTF-8 cannot encode', 'pass bytes'),
        ({3: 1}, 'has the key 3, an int', '`str(...)`'),
        ({None: 1}, 'has the key None', '`str(...)`'),
        ({Unprintable(): 1}, 'has the key <', '`str(...)`'),
        ({'$bytes': 'eA=='}, "only key is '$bytes'", 'another key'),
        ({'$datetime': 1}, "only key is '$datetime'", 'another key'),
        ({'$date': None}, "only key is '$date'", 'another key'),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else '',
)
def test_a_value_that_json_cannot_carry_is_refused_with_its_position(value, message, remedy):
    with pytest.raises(TypeError) as caught:
        dumps({'when': [0, 1, value]})
    assert str(caught.value).startswith("`input['when'][2]` ")
    assert message in str(caught.value)
    assert remedy in str(caught.value).partition(': ')[2]


def test_the_error_has_position_type_and_remedy():
    with pytest.raises(TypeError) as caught:
        dumps({'model': object_of('numpy', 'ndarray')})
    assert str(caught.value) == (
        "`input['model']` is a numpy.ndarray, which JSON cannot carry: pass a list (`.tolist()`), or bytes"
    )
    with pytest.raises(TypeError, match=r'^`output` is a set, '):
        dumps(set(), what='output')


def test_numpy_scalars_are_recognised_by_their_base_class():
    generic = type('generic', (), {'__module__': 'numpy'})
    with pytest.raises(TypeError, match=r'pass its `.item\(\)`'):
        dumps(type('int64', (generic,), {'__module__': 'numpy'})())


def test_subclasses_of_datetime_that_would_lose_something_are_refused():
    class NotATime(dt.datetime):
        def isoformat(self, *_):
            return 'NaT'

    class Fine(dt.datetime):
        def __ne__(self, other):
            return True

    for kind in (NotATime, Fine):
        with pytest.raises(TypeError, match=r'a plain datetime cannot represent: pass a plain'):
            dumps(kind(2024, 1, 1))

    class Same(dt.datetime):
        pass

    assert loads(dumps(Same(2024, 1, 1, tzinfo=CET))) == dt.datetime(2024, 1, 1, tzinfo=CET)


def test_a_value_that_contains_itself_is_refused():
    ring = {'a': []}
    ring['a'].append({'self': ring})
    with pytest.raises(TypeError) as caught:
        dumps(ring)
    assert str(caught.value).startswith("`input['a'][0]['self']` is a dict that contains itself")
    knot = []
    knot.append(knot)
    with pytest.raises(TypeError, match=r'`input\[0\]` is a list that contains itself'):
        dumps(knot)


def test_one_list_may_be_at_two_positions():
    part = [1]
    assert dumps({'a': part, 'b': [part, part]}) == '{"a":[1],"b":[[1],[1]]}'


def test_a_value_that_is_nested_too_deeply_is_refused():
    def nested(depth):
        value = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert loads(dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 5000):
        with pytest.raises(TypeError, match=f'nested more than {MAX_DEPTH} deep'):
            dumps(nested(depth))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', "this is not JSON: Expecting value at line 1, column 1 of ''"),
        ("{'a': 1}", 'this is not JSON: '),
        ('[1,]', 'this is not JSON: '),
        ('1 2', 'this is not JSON: '),
        ('NaN', 'this is not JSON: it has no NaN'),
        ('[-1e400]', 'this JSON has the number -1e400, which is too large for a float'),
        ('[-Infinity]', 'this is not JSON: it has no -Infinity'),
        (b'\xff', 'this is not JSON: byte 0 is not UTF-8'),
        ('{"$bytes": 5}', '`$bytes` needs a text, not 5'),
        ('{"$bytes": "!"}', "the text of `$bytes` is wrong: '!' is not base64"),
        ('{"$bytes": "é"}', "the text of `$bytes` is wrong: 'é' is not base64"),
        ('{"$datetime": "lol"}', "the text of `$datetime` is wrong: 'lol' is not a date"),
        ('{"$date": "lol"}', 'the text of `$date` is wrong: '),
        ('[' * 200_000, 'this JSON is nested too deeply to be read'),
    ],
    ids=lambda value: str(value)[:12],
)
def test_loads_refuses_what_is_not_json(text, message):
    with pytest.raises(ValueError) as caught:
        loads(text)
    assert str(caught.value).startswith(message)
