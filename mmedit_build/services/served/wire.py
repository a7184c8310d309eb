"""What goes over the wire to a served model."""

from __future__ import annotations

import base64
from typing import Any

from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message
from mmedit_build.services.served.keys import OPENAI_HOST, split_address

MEDIA_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def payload(model: Endpoint, request: ChatRequest, *, logprobs: bool) -> dict[str, Any]:
    """The body of a request."""
    # The newer models of OpenAI refuse the old name, and many other servers do not know the new one.
    new_name = split_address(model.base_url).hostname == OPENAI_HOST
    body = {
        "model": model.model,
        "messages": [_message(message) for message in request.messages],
        "temperature": request.temperature,
        "max_completion_tokens" if new_name else "max_tokens": request.max_tokens,
    }
    return body | {"logprobs": True} if logprobs else body


def _message(message: Message) -> dict[str, Any]:
    # JSON may hold halves of surrogate pairs, and no file; servers refuse them.
    text = message.text.encode("utf-8", "replace").decode()
    if message.image is None:
        return {"role": message.role, "content": text}
    data = base64.b64encode(message.image).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:{media_type(message.image)};base64,{data}"}}
    return {"role": message.role, "content": [image, {"type": "text", "text": text}]}


def media_type(image: bytes) -> str:
    """The media type of an encoded image, by its first bytes."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in MEDIA_TYPES if image.startswith(start)), "application/octet-stream")
