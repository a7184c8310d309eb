"""Results in the exchange format of Every Eval Ever (schema 0.3.0), as its datastore takes them.

For each run `data/mmedit-DATASET/DEVELOPER/MODEL/UUID.json` with the headline numbers, and beside it
`UUID_samples.jsonl` with every free answer, a row for each number that it counts for. The format knows no
edited models, so the id is that of the base model, and its details say what edited it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.data.probes import ANSWER_TOKENS, CAPTION_TOKENS
from evaluation.leaderboard.cleaning import cleaned, refuse_private
from evaluation.leaderboard.entries import sha256, slug
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import ABOUT, NAMES
from evaluation.report.runs import Run
from evaluation.results.intervals import LEVEL
from evaluation.results.records import HEADER, CaseResult, ProbeResult, RunResult
from evaluation.results.summary import Estimate, Measure, Results, estimated, headline, relations
from mmedit_build.store import write_atomic

SCHEMA = "0.3.0"
WHOLE = ("match", "unchanged", "exact_match", "right")
"""Scores of one question that are 0 or 1."""
JSON = dict[str, Any]


def write_eee(runs: Sequence[Run], organization: str, out: Path) -> None:
    """Write the records of some runs; `organization` is who ran them."""
    files: dict[str, bytes] = {}
    for run in runs:
        files |= _Record.of(run).files(organization)
    refuse_private(files)
    for name, data in files.items():
        write_atomic(out / name, data)


@dataclass(frozen=True)
class _Record:
    """One run, without anything of this machine."""

    header: RunResult
    results: Results
    time: int
    """When it was finished, in seconds since 1970."""

    @classmethod
    def of(cls, run: Run) -> _Record:
        header, results = cleaned(run.header, run.results)
        return cls(header, Results(results), int((run.folders[0] / HEADER).stat().st_mtime))

    @property
    def model(self) -> str:
        """The base model as developer/name."""
        name = self.header.settings.model.partition("@")[0]
        return name if "/" in name else f"local/{slug(name)}"

    @property
    def benchmark(self) -> str:
        return f"mmedit-{slug(self.header.settings.dataset)}"

    @property
    def id(self) -> str:
        of = self.header.settings
        return f"{self.benchmark}/{self.model}/{of.name}/{of.task}/{self.time}"

    @property
    def place(self) -> str:
        """Without the ending; the same for the same results."""
        state = hashlib.sha256(f"{self.id} {self.header.settings.dataset_digest}".encode())
        developer, _, name = self.model.partition("/")
        name = name.replace("/", "_")
        return f"data/{self.benchmark}/{developer}/{name}/{uuid.UUID(bytes=state.digest()[:16], version=4)}"

    @property
    def measures(self) -> dict[str, Measure]:
        """The headline measures that there are, by name."""
        of = self.header.settings
        return {
            f"{protocol}/{title}": measure
            for protocol in of.protocols
            for title, measure in headline(of.task, protocol).items()
            if measure in self.results.scores
        }

    def files(self, organization: str) -> dict[str, bytes]:
        samples = b"".join(_line(row) for row in self.samples())
        record = self.record(organization)
        if not samples:
            return {f"{self.place}.json": _line(record)}
        record["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": f"{self.place}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": sha256(samples),
            "total_rows": samples.count(b"\n"),
        }
        return {f"{self.place}.json": _line(record), f"{self.place}_samples.jsonl": samples}

    def record(self, organization: str) -> JSON:
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.id,
            "evaluation_timestamp": str(self.time),
            "retrieved_timestamp": str(self.time),
            "source_metadata": {
                "source_name": "mmedit",
                "source_type": "evaluation_run",
                "source_organization_name": organization,
                "evaluator_relationship": "third_party",
            },
            "eval_library": {"name": "mmedit", "version": self.header.versions.get("mmedit", "unknown")},
            "model_info": {"name": self.model, "id": self.model, "additional_details": self._details()},
            "evaluation_results": [
                self._result(name, of, found)
                for name, of in self.measures.items()
                if (found := estimated(self.results, of)) is not None
            ],
        }

    def _details(self) -> dict[str, str]:
        of, header = self.header.settings, self.header
        about = header.about
        return {
            "deployment_type": "self_deployed",
            "model_availability": "open_weights",
            "revision": of.model.partition("@")[2] or "unknown",
            "model_digest": of.model_digest,
            "editor": of.method,
            "editor_family": about.family if about else "none",
            "editor_options": json.dumps(of.config, sort_keys=True),
            "edits": str(header.edits),
            "edits_at_once": str(of.at_once),
            "edits_skipped": str(sum(header.skipped.values())),
            "seed": str(of.seed),
            "dtype": header.dtype,
            "device": header.device,
        }

    def _result(self, name: str, of: Measure, found: Estimate) -> JSON:
        title = name.partition("/")[2]
        settings = self.header.settings
        told = metric(of.protocol, of.metric)
        binary = {"score_type": "binary"} if of.metric in WHOLE else {"score_type": "continuous"}
        return {
            "evaluation_result_id": name,
            "evaluation_name": f"{settings.task} {NAMES[title].lower()} ({of.protocol})",
            "source_data": self._source(),
            "metric_config": {
                "evaluation_description": f"{ABOUT[title]}. {PROTOCOLS[of.protocol].title}. {told.about}",
                "metric_id": f"mmedit.{of.protocol}.{of.metric}",
                "metric_name": told.title,
                "metric_unit": "proportion",
                "lower_is_better": False,
                **binary,
                "min_score": 0.0,
                "max_score": 1.0,
            },
            "score_details": {
                "score": found.mean,
                "uncertainty": {
                    "confidence_interval": {
                        "lower": found.low,
                        "upper": found.high,
                        "confidence_level": LEVEL,
                        "method": "Wilson, for as many values as vary as much as images do",
                    },
                    "num_samples": found.edits,
                },
            },
            "generation_config": {
                "generation_args": {
                    "temperature": 0.0,
                    "max_tokens": CAPTION_TOKENS if settings.task == "caption" else ANSWER_TOKENS,
                    "prompt_template": settings.template,
                },
                "additional_details": {"prompts": settings.prompts},
            },
        }

    def _source(self) -> JSON:
        of = self.header.settings
        details = {"additional_details": {"digest": of.dataset_digest, "split": of.split}}
        repository = of.dataset.partition("@")[0]
        if "/" not in repository:
            return {"dataset_name": of.dataset, "source_type": "other", **details}
        return {
            "dataset_name": of.dataset,
            "source_type": "hf_dataset",
            "hf_repo": repository,
            "hf_split": of.split,
            "samples_number": self.header.edits,
            **details,
        }

    def samples(self) -> Iterator[JSON]:
        """Every free answer, once for each number that it counts for."""
        for name, of in self.measures.items():
            if not PROTOCOLS[of.protocol].writes:
                continue
            for result in self.results:
                for probe in result.probes:
                    if probe.kind == of.kind and of.relation in relations(probe):
                        yield self._sample(name, of, result, probe)

    def _sample(self, name: str, of: Measure, result: CaseResult, probe: ProbeResult) -> JSON:
        score, answer = probe.scores[of.protocol][of.metric], probe.after or ""
        reference = [probe.before or "" if of.metric == "unchanged" else probe.target]
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.id,
            "model_id": self.model,
            "evaluation_name": name,
            "evaluation_result_id": name,
            "sample_id": "#".join(filter(None, [result.id, probe.kind, probe.item])),
            "sample_hash": sha256("".join([probe.prompt, *reference]).encode()),
            "interaction_type": "single_turn",
            "input": {"raw": probe.prompt, "reference": reference},
            "output": {"raw": [answer]},
            "answer_attribution": [
                {
                    "turn_idx": 0,
                    "source": "output.raw",
                    "extracted_value": answer,
                    "extraction_method": of.metric,
                    "is_terminal": True,
                }
            ],
            "evaluation": {"score": score, "is_correct": score >= 0.5},
            "performance": {"latency_ms": 1000 * result.probe_seconds / len(result.probes)},
            "metadata": {"edit": result.id, "image": result.image_id, "type": result.question_type},
        }


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"
