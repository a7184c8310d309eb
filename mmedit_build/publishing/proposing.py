"""Files proposed to a dataset on the Hub: a pull request, which its owners look at before they take it."""

from __future__ import annotations

from collections.abc import Mapping

from huggingface_hub import CommitOperationAdd, HfApi

from mmedit_build.errors import UserError
from mmedit_build.publishing.faults import told
from mmedit_build.publishing.hub import check_access, token


def propose(repository: str, files: Mapping[str, bytes], title: str, description: str) -> str:
    """Open a pull request that adds files; its address."""
    check_access(repository, None)
    with told(repository):
        api = HfApi(token=token())
        done = api.create_commit(
            repository,
            [CommitOperationAdd(name, data) for name, data in files.items()],
            commit_message=title,
            commit_description=description,
            repo_type="dataset",
            create_pr=True,
        )
    if not done.pr_url:
        raise UserError(f"The Hub took the files for {repository}, but opened no pull request; look there.")
    return done.pr_url
