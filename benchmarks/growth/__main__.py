"""python -m benchmarks.growth OUT"""

import typer

from benchmarks.growth.command import main

if __name__ == "__main__":
    typer.run(main)
