"""Operations of a program written for the Python `rework`, which registers them, and so do we."""

from datetime import timedelta

from rework import api, io


@api.task(
    domain='images',
    timeout=timedelta(minutes=3),
    inputs=(
        io.string('text', choices=('plain', 'hé "quoted"')),
        io.number('number', required=True),
        io.boolean('flag'),
        io.datetime('taken'),
        io.moment('until'),
        io.file('photo'),
    ),
    outputs=(io.string('told'),),
)
def tell(task):
    given = task.input
    task.save_output({'told': repr(sorted(given.items()))})


@api.task(domain='images', inputs=())
def declares_nothing(task):
    task.save_output([task.input or None, task.metadata.get('by')])


@api.task
def shout(task):
    task.save_output(task.raw_input.upper(), raw=True)


@api.task
def double(task):
    task.save_output(task.input * 2)


@api.task
def says_done(task):
    task.save_output('done')
