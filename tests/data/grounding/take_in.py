"""Takes in answers that a language model wrote: `python tests/data/grounding/take_in.py FILE…`.

Each line of a file is {"prompt", "sort", "style", "answer"}; in a false answer each false figure stands in ⟦ ⟧. Here:
taking the brackets out and noting where they stood; checking what can be checked without the judge. Writes
`by_a_model.jsonl` anew, sorted by prompt. Not here: which prompts belong to which half (`make_answers.half_of`).
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from make_answers import half_of

HERE = Path(__file__).parent
_MARKS = re.compile("[⟦⟧]")


def main(files: list[str]) -> None:
    """Write the rows of all files, and tell how many of which sort there are."""
    prompts = {row["id"]: row for row in _rows(HERE / "prompts.jsonl")}
    rows = []
    for told in (row for name in files for row in _rows(Path(name))):
        prompt = prompts[told["prompt"]]
        false: list[dict[str, Any]] = []
        answer = _unmarked(told["answer"], (), false)
        if bool(false) != (told["sort"] == "false"):
            raise SystemExit(f"an answer to {prompt['id']} says {told['sort']}, and has {len(false)} marks")
        rows.append(
            {
                "prompt": prompt["id"],
                "half": half_of(prompt["id"]),
                "app": prompt["app"],
                "sort": told["sort"],
                "style": told["style"],
                "false": false,
                "answer": answer,
            }
        )
    rows.sort(key=lambda row: row["prompt"])
    numbers: Counter[str] = Counter()
    lines = []
    for row in rows:
        lines.append(
            json.dumps({"id": f"{row['prompt']}@{numbers[row['prompt']]}", **row}, ensure_ascii=False)
        )
        numbers[row["prompt"]] += 1
    (HERE / "by_a_model.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(rows), Counter((row["half"], row["sort"]) for row in rows))


def _unmarked(value: Any, path: tuple[str, ...], false: list[dict[str, Any]]) -> Any:
    """The value without brackets; adds where they stood."""
    if isinstance(value, dict):
        return {key: _unmarked(inner, (*path, key), false) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unmarked(inner, (*path, str(place)), false) for place, inner in enumerate(value)]
    if not isinstance(value, str) or not _MARKS.search(value):
        return value
    plain, start = "", None
    for part in re.split("([⟦⟧])", value):
        if part == "⟦" and start is None:
            start = len(plain)
        elif part == "⟧" and start is not None and start < len(plain):
            false.append({"path": ".".join(path), "start": start, "end": len(plain)})
            start = None
        elif part in ("⟦", "⟧"):
            raise SystemExit(f"brackets that do not close: {value}")
        else:
            plain += part
    if start is not None:
        raise SystemExit(f"brackets that do not close: {value}")
    return plain


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main(sys.argv[1:])
