"""All kinds of engines that can be passed to the API, each with a function that makes one from a DSN."""

import psycopg
import psycopg2
import sqlalchemy
from psycopg.rows import dict_row

try:
    from psycopg_pool import ConnectionPool
except ImportError:
    ConnectionPool = None

ALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split('.')[:2])
DRIVERS = ['psycopg2', 'psycopg'] if ALCHEMY >= (2, 0) else ['psycopg2']


def url(dsn, driver):
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    server = f'{parts["host"]}:{parts["port"]}/{parts["dbname"]}'
    return f'postgresql+{driver}://{parts["user"]}:{parts["password"]}@{server}'


def pool_of(dsn):
    return ConnectionPool(dsn, min_size=1, open=True)


ENGINES = {
    'dsn': lambda dsn: dsn,
    'url': lambda dsn: url(dsn, 'psycopg2'),
    'pairs': lambda dsn: psycopg.conninfo.make_conninfo(dsn),
    **({'pool': pool_of} if ConnectionPool else {}),
    **{f'engine {name}': lambda dsn, n=name: sqlalchemy.create_engine(url(dsn, n)) for name in DRIVERS},
}

CONNECTIONS = {
    'psycopg': lambda dsn: psycopg.connect(dsn, row_factory=dict_row),
    'psycopg2': lambda dsn: psycopg2.connect(dsn),
    **{f'connection {name}': lambda dsn, n=name: sqlalchemy.create_engine(url(dsn, n)).connect() for name in DRIVERS},
}
