"""The reward: what `strata verify` gives, which is what measured the difficulty of these samples.

ms-swift loads this file as a plugin (reward "strata"), verl takes compute_score, TRL's script imports accuracy. STRATA
names the program where it is not on the PATH. Columns `solution`, `ability` and `verifier` of the data decide how an
answer is graded, as they did for `strata score`.
"""
import json
import os
import subprocess
import tempfile


def grade(pairs):
    """Scores, 0 to 1, of dictionaries with solution, completion and perhaps ability and verifier."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for i, pair in enumerate(pairs):
            known = {key: str(value) for key, value in pair.items() if value not in (None, "")}
            file.write(json.dumps({"id": str(i), "completion": "", **known}) + "\n")
        file.flush()
        command = [os.environ.get("STRATA", "strata"), "verify", file.name, "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8")
    scores = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    if len(scores) != len(pairs):
        raise RuntimeError(f"strata verify graded {len(scores)} of {len(pairs)} answers")
    return scores


def text_of(completion):
    """A completion is a text, or messages whose last is the answer."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def accuracy(completions, solution=None, **columns):
    """For TRL and ms-swift: columns are lists as long as completions."""
    if solution is None:
        raise ValueError("the data has no column `solution`")
    none = [None] * len(completions)
    rows = zip(completions, solution, columns.get("ability") or none, columns.get("verifier") or none)
    return grade([{"completion": text_of(completion), "solution": right, "ability": ability, "verifier": verifier}
                  for completion, right, ability, verifier in rows])


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    """For verl: one answer."""
    return grade([{"completion": solution_str, "solution": ground_truth}])[0]


try:  # ms-swift 4
    from swift.rewards import ORM, orms
except ImportError:
    try:  # ms-swift 3
        from swift.plugin import ORM, orms
    except ImportError:
        orms = None
if orms is not None:

    class Strata(ORM):
        """The same as an ms-swift reward."""

        def __call__(self, completions, solution=None, **columns):
            return accuracy(completions, solution, **columns)

    orms["strata"] = Strata
