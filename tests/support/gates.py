"""A gate whose memory a test can read."""

from dataclasses import dataclass, field

from tasks.core.errors import KasparroError


@dataclass
class RecordingGate:
    """Lets calls through until ``refusals`` says otherwise."""

    events: list[str] = field(default_factory=list)
    refusals: list[KasparroError | None] = field(default_factory=list)

    def enter(self) -> None:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        self.events.append("enter")

    def freeze(self, seconds: float) -> None:
        self.events.append(f"freeze {seconds:g}")

    def succeeded(self) -> None:
        self.events.append("succeeded")

    def failed(self) -> None:
        self.events.append("failed")
