"""``openapi``: the API's description, without a server."""

import click


@click.command
def openapi() -> None:
    """Print the API's description."""
    from service.app import create_app  # noqa: PLC0415 - --help needs none of it
    from service.cli.connecting import log_to_stderr  # noqa: PLC0415
    from service.resources import docs  # noqa: PLC0415
    from tasks import bootstrap  # noqa: PLC0415
    from tasks.core.settings import load_settings, provide  # noqa: PLC0415

    log_to_stderr()
    # Nothing is connected, but the settings want addresses.
    provide(
        {"DATABASE_URL": "postgresql://unused/", "REDIS_URL": "redis://unused/"}, override=False
    )
    app = create_app(bootstrap.build(load_settings(), role="api"))
    click.echo(docs.make_document(app).decode())
