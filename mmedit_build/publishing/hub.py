"""A dataset folder to the Hub: one commit that replaces the last, a tag, and a look at the result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.hf_api import RepoFile

# This is where the documentation has it, but not in the words that mypy asks of an export.
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from mmedit_build.errors import UserError
from mmedit_build.publishing.card import check_card
from mmedit_build.publishing.check import check_folder, read_manifest
from mmedit_build.publishing.faults import told
from mmedit_build.publishing.files import CARD, File, is_ours, read_files
from mmedit_build.publishing.loading import check_loading

_KIND = "dataset"
# What git takes, but neither what names the branch nor what looks like a commit.
_TAG = re.compile(r"(?!main$|[0-9a-f]{40}$|.*\.\.|.*\.lock$|.*\.$)[A-Za-z0-9][A-Za-z0-9._-]*")
_MESSAGE = "Publish the dataset"
_ALTERED = "do not use that revision, and publish again under another tag"


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent."""

    files: tuple[File, ...]
    size: int
    """Of all files, in bytes."""
    card: str


@dataclass(frozen=True, slots=True)
class Published:
    """Where a dataset lies on the Hub."""

    repository: str
    commit: str
    tag: str | None
    changed: bool
    """False if the Hub already had the same content, so that no commit was made."""
    url: str


def preview(folder: Path) -> Preview:
    """What `publish` would send, after the same checks; nothing is sent."""
    check_folder(folder)
    files = tuple(read_files(folder))
    return Preview(files, sum(file.size for file in files), (folder / CARD).read_text(encoding="utf-8"))


def publish(folder: Path, repository: str, *, private: bool = True, tag: str | None = None) -> Published:
    """Check a dataset folder, publish it in one commit, tag it, and load it back from the Hub."""
    _check_names(repository, tag)
    check_folder(folder)
    check_loading(str(folder), read_manifest(folder)["rows"], remedy="build it again")
    with told(repository):
        api = HfApi(token=token())
        published = push(api, folder, repository, private=private, tag=tag)
        _check_delivery(api, folder, published)
    return published


def check_access(repository: str, tag: str | None) -> None:
    """Refuse what cannot be published to, before work is spent on it; nothing is sent."""
    _check_names(repository, tag)
    token()


def push(api: HfApi, folder: Path, repository: str, *, private: bool, tag: str | None) -> Published:
    """Make the repository hold the folder, in one commit or, if it already does, in none; and tag it."""
    files = read_files(folder)
    api.create_repo(repository, repo_type=_KIND, private=private, exist_ok=True)
    head = api.repo_info(repository, repo_type=_KIND).sha
    assert head is not None
    tagged = _tagged(api, repository, tag)
    if tagged and _changes(files, _remote(api, repository, tagged)) != ([], []):
        raise UserError(
            f"The tag {tag} of {repository} already names other content, which those who use it rely on: "
            "choose another tag."
        )
    commit = _commit(api, repository, files, head)
    if tag and not tagged:
        api.create_tag(repository, tag=tag, revision=commit, repo_type=_KIND)
    url = f"{api.endpoint}/datasets/{repository}/tree/{tag or commit}"
    return Published(repository, commit, tag, changed=commit != head, url=url)


def _check_delivery(api: HfApi, folder: Path, published: Published) -> None:
    """Download what was published, compare it with the folder byte by byte, and load every table."""
    revision = published.tag or published.commit
    files = read_files(folder)
    names = [file.name for file in files]
    copy = Path(
        api.snapshot_download(published.repository, repo_type=_KIND, revision=revision, allow_patterns=names)
    )
    for file in files:
        there = copy / file.name
        if not there.is_file() or File.read(there, copy).sha256 != file.sha256:
            raise UserError(f"{file.name} at {published.url} is not the file that was sent: {_ALTERED}.")
    rows = read_manifest(folder)["rows"]
    check_loading(published.repository, rows, remedy=_ALTERED, revision=revision, token=api.token)


def _check_names(repository: str, tag: str | None) -> None:
    with told(repository):
        validate_repo_id(repository)
    if "/" not in repository:
        raise UserError(f"{repository!r} is no name of a dataset on the Hub: give it as user/name.")
    if tag is not None and not _TAG.fullmatch(tag):
        raise UserError(f"{tag!r} cannot be a tag: use letters, digits, dots and dashes, such as v1.0.")


def token() -> str:
    """The token of the Hub that this machine has."""
    found = get_token()
    if not found:
        raise UserError(
            "Publishing needs a token of the Hub: log in with `hf auth login`, or set HF_TOKEN to a token "
            "that may write."
        )
    return found


def _remote(api: HfApi, repository: str, revision: str) -> dict[str, str]:
    """Our files in the repository: SHA-256 of large files, git's id of small ones."""
    tree = api.list_repo_tree(repository, repo_type=_KIND, revision=revision, recursive=True)
    return {
        item.path: item.lfs.sha256 if item.lfs else item.blob_id
        for item in tree
        if isinstance(item, RepoFile) and is_ours(item.path)
    }


def _tagged(api: HfApi, repository: str, tag: str | None) -> str | None:
    """The commit that a tag names, if there is such a tag."""
    tags = api.list_repo_refs(repository, repo_type=_KIND).tags if tag else []
    return next((ref.target_commit for ref in tags if ref.name == tag), None)


def _changes(files: Sequence[File], remote: dict[str, str]) -> tuple[list[File], list[str]]:
    """Files that the repository lacks or has otherwise, and files of ours that it should have no longer."""
    new = [file for file in files if remote.get(file.name) not in (file.sha256, file.blob)]
    stale = sorted(remote.keys() - {file.name for file in files})
    return new, stale


def _commit(api: HfApi, repository: str, files: Sequence[File], head: str) -> str:
    """The commit at which the repository holds the files: a new one if need be."""
    new, stale = _changes(files, _remote(api, repository, head))
    if not new and not stale:
        return head
    _check_front_matter(new)
    additions = [CommitOperationAdd(file.name, file.path) for file in new]
    # Large files go first, to where nobody sees them; the commit that names them is all or nothing.
    api.preupload_lfs_files(repository, additions, repo_type=_KIND)
    return api.create_commit(
        repository,
        [*additions, *(CommitOperationDelete(name, is_folder=False) for name in stale)],
        commit_message=_MESSAGE,
        repo_type=_KIND,
        parent_commit=head,
    ).oid


def _check_front_matter(files: Sequence[File]) -> None:
    for file in files:
        if file.name == CARD:
            try:
                check_card(file.path.read_text(encoding="utf-8"))
            except ValueError as error:
                reason = " ".join(str(error).split())
                raise UserError(f"The Hub does not take the front matter of {CARD}: {reason}") from None
