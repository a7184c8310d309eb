"""python -m benchmarks.viewing OUT"""

import typer

from benchmarks.viewing.command import main

if __name__ == "__main__":
    typer.run(main)
