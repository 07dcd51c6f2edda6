"""Options that several commands share."""

from pathlib import Path

import click

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kasparro"),
    show_default=True,
    envvar="KASPARRO_DATA_DIR",
    help="Where a start keeps its servers, logs and lock.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Machine-readable output on stdout."
)
