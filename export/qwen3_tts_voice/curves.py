"""The losses of the trainings as pictures: `talker.csv` and the like to PNG."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

NO_LOSS = ("step", "seconds", "kind")
"""Columns that say when a row was written and of what."""


def draw(table: Path, picture: Path) -> None:
    """Draw one panel a loss, one line a kind (training, held out), against the step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name not in NO_LOSS]
    lines: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        for column in columns:
            kind = row.get("kind", "train")
            lines[column, kind].append((int(row["step"]), float(row[column])))
    figure, panels = pyplot.subplots(1, len(columns), figsize=(4 * len(columns), 3))
    for panel, column in zip(panels, columns, strict=True):
        for (name, kind), points in lines.items():
            if name == column:
                panel.plot(*zip(*points, strict=True), label=kind)
        panel.set_title(column)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
