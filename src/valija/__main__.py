"""The only place that turns an error into an exit code."""

from __future__ import annotations

import sys

import click

from valija.cli import cli
from valija.errors import ValijaError


def main() -> None:
    """Run the command line: 0 done, 1 a check or a host failed, 2 the input is wrong and nothing was touched."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except ValijaError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
