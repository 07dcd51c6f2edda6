"""How far each source is trusted, as its connector declares it."""

from tasks.pipeline.dependencies import Dependencies
from tasks.store.consensus import SourcePolicy


def policies(dependencies: Dependencies) -> dict[str, SourcePolicy]:
    """Return how long each source's observations count as fresh, and which source goes first."""
    return {
        name: SourcePolicy(
            fresh_for_s=connector.spec.fresh_for_s, precedence=connector.spec.precedence
        )
        for name, connector in dependencies.connectors.items()
        if connector.spec.kind == "quotes"
    }
