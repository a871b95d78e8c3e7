"""What was measured on one device on one day, as JSON that grows row by row and piece by piece."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from qwen3_tts_edge.atomic import whole_or_nothing

NOT_RUN = "not run"
Figures = dict[str, Any]
_MACHINE_PATH = re.compile(r"(?<![\w.~*/-])/(?:home|root|Users|work|mnt|tmp|opt)/(?:[\w.+-]+/)*")


class NotRun(Exception):  # noqa: N818
    """Why a row does not fit here."""


def not_run(error: BaseException) -> Figures:
    """What stands in the place of figures."""
    what = str(error) if isinstance(error, NotRun) else f"{type(error).__name__}: {error}"
    return {NOT_RUN: " ".join(what.split())[:500]}


def ran(figures: Any) -> bool:
    """Whether there are any."""
    return figures is not None and not (isinstance(figures, dict) and NOT_RUN in figures)


@dataclass
class Record:
    """A device, and what was measured on it.

    Attributes:
        device: The GPU, or the CPU where there is none.
        driver: Of the GPU; None for a CPU.
        machine: Processor and system.
        date: Of the first piece.
        runs: Every command: itself, commit, time, versions of the libraries.
        bundles: What was measured, by subject: checkpoint, precision, flavour, backend.
        rows: Figures by row and subject; `run` is the number of the command they come from.
    """

    device: str
    driver: str | None
    machine: str
    date: str
    runs: list[Figures] = field(default_factory=list)
    bundles: dict[str, Figures] = field(default_factory=dict)
    rows: dict[str, dict[str, Figures]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its file is called."""
        words = re.sub(r"\((r|tm)\)|\b(cpu|processor)\b|@", " ", self.device.lower())
        return "-".join([*re.findall(r"[a-z0-9]+", words), self.date]) + ".json"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one."""
        return cls(**json.loads(path.read_text("utf-8")))

    def save(self, folder: Path) -> Path:
        """Write it, whole or not at all; paths of the machine are left out."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        path = folder / self.name
        with whole_or_nothing(path) as part:
            part.write_text(_MACHINE_PATH.sub("…/", text) + "\n", "utf-8")
        return path

    def resumed(self, folder: Path) -> "Record":
        """What was measured before of the same device on the same day, or this."""
        path = folder / self.name
        return Record.load(path) if path.exists() else self

    def note(self, row: str, subject: str, figures: Figures) -> None:
        """Keep figures of the last run. Where there were some, a failure does not undo them."""
        subjects = self.rows.setdefault(row, {})
        if ran(figures) or not ran(subjects.get(subject)):
            subjects[subject] = {"run": len(self.runs) - 1} | figures

    def has(self, row: str, subject: str) -> bool:
        """Whether there are figures."""
        return ran(self.rows.get(row, {}).get(subject))
