"""The API key that the demo prints: made once, kept beside the demo's database."""

from functools import partial

from service import auth
from service.cli.data_directory import DataDirectory
from tasks.pipeline.dependencies import Dependencies

_SCOPES = ("read", "run")


def get(directory: DataDirectory, dependencies: Dependencies) -> str:
    """Return the demo's key; a new one if the kept one does not open this database."""
    path = directory.root / "demo-key"
    kept = path.read_text() if path.exists() else ""
    with dependencies.transaction() as session:
        if kept and auth.verify(partial(auth.find, session), kept) is not None:
            return kept
        fresh = auth.create_key(session, "demo", _SCOPES)
    path.touch(mode=0o600)
    path.write_text(fresh)
    return fresh
