"""What goes wrong between us and the Hub, told in one sentence that holds no token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from httpx2 import RequestError
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
)

from mmedit_build.errors import UserError

AGAIN = "nothing was published by halves: run the command again, it sends only what is missing"
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"
_BY_STATUS = {
    400: "The Hub does not take what was sent to {repository} (400): look at the front matter of README.md.",
    401: "The Hub does not accept the token for {repository} (401): " + _LOGIN + ".",
    402: "The Hub wants a paid plan for {repository} (402): see the billing page of its owner.",
    403: "The token may not write to {repository} (403): " + _LOGIN + " there.",
    404: "The Hub shows no dataset {repository} to this token (404): check the name, and "
    + _LOGIN
    + " there.",
    409: "Something else is changing {repository} at the same time (409); " + AGAIN + ".",
    412: "{repository} was changed by someone else at the same time, so nothing was published: look at what "
    "changed there, and run the command again.",
    413: "The Hub does not take files of this size for {repository} (413): publish fewer edits at a time.",
    429: "The Hub wants fewer requests for now (429); " + AGAIN + " later.",
}
# What the client raises over answers that are not the Hub's, such as a page to log in to a network.
_NONSENSE = (ValueError, TypeError, LookupError, AttributeError, EntryNotFoundError, FileMetadataError)


@contextmanager
def told(repository: str) -> Iterator[None]:
    """Turn what the Hub's client raises into a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        sentence = _sentence(error, repository)
        if sentence is None:
            raise
        # Not chained: what the client raises can hold the request, and the request holds the token.
        raise UserError(sentence) from None


def _sentence(error: BaseException, repository: str) -> str | None:
    """The sentence for an error or for what caused it, as the client wraps failures of uploads."""
    if isinstance(error, HFValidationError):
        return f"{repository!r} is no name of a dataset on the Hub: give it as user/name."
    if isinstance(error, OfflineModeIsEnabled):
        return "The Hub cannot be reached because HF_HUB_OFFLINE is set: unset it to publish."
    if isinstance(error, HfHubHTTPError):
        return _of_status(error.response.status_code, repository)
    if isinstance(error, RequestError):
        return f"The connection to the Hub failed ({type(error).__name__}); {AGAIN}."
    cause = error.__cause__ or error.__context__
    sentence = _sentence(cause, repository) if cause else None
    if sentence is None and isinstance(error, _NONSENSE) and _is_of_the_client(error):
        return f"What answered is not the Hub, or not all of it ({type(error).__name__}); {AGAIN}."
    return sentence


def _is_of_the_client(error: BaseException) -> bool:
    """Whether it was raised inside the Hub's client: errors of ours stay bugs."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__")).startswith("huggingface_hub") for frame in frames)


def _of_status(status: int, repository: str) -> str:
    sentence = _BY_STATUS.get(status, "The Hub failed on {repository} ({status}); " + AGAIN + " later.")
    return sentence.format(repository=repository, status=status)
