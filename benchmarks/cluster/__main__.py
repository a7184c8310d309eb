"""python -m benchmarks.cluster [PART ...]"""

import typer

from benchmarks.cluster.command import main
from mmedit_build.errors import run_app

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(main)

if __name__ == "__main__":
    run_app(app)
