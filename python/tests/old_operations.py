"""Operations of a program written for rework 0.17. Both rework 0.17 and this package register them."""

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
    outputs=(io.string('values'),),
)
def tell(task):
    given = task.input
    task.save_output({'values': repr(sorted(given.items()))})


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
