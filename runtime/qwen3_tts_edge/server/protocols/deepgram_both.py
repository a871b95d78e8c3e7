"""What both versions of Deepgram's speech share: a `POST` and its answer, a socket and its text."""

from urllib.parse import quote

from fastapi import Request as HttpRequest
from starlette.responses import Response
from starlette.websockets import WebSocket

from qwen3_tts_edge.server.doors.request_id import id_of
from qwen3_tts_edge.server.protocols.deepgram_body import Socket, Text, Whole
from qwen3_tts_edge.server.protocols.response import SpeechResponse
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.sockets.context import Answers
from qwen3_tts_edge.server.sockets.conversation import Conversation


def answer(service: Service, body: Text, asked: Whole, http: HttpRequest) -> Response:
    """Answer a request with its sound."""
    form, request = asked.encoder(service), asked.request(service)
    told = asked.described(service)
    return SpeechResponse(
        service,
        http,
        request,
        form,
        text=body.text,
        field="text",
        transport="deepgram",
        headers={  # that its clients before version 5 need
            "dg-request-id": id_of(http),
            "dg-model-name": quote(told["model_name"]),  # whose letters a header may not hold
            "dg-model-uuid": told["model_uuid"],
            "dg-char-count": str(len(body.text)),
        },
    )


class OneText(Conversation, Answers):
    """A socket with one text at a time, which is spoken in one context."""

    transport = "deepgram"

    def __init__(self, service: Service, websocket: WebSocket, asked: Socket) -> None:
        """Take a socket; what is wrong with its address is said before it is open.

        Raises:
            InputError: What the address asks for is not to be had.
        """
        super().__init__(service, websocket)
        asked.encoder(service)
        self._asked, self._request = asked, asked.request(service)

    def append(self, text: str) -> None:
        """Give more of the text; begin one, if there is none.

        Raises:
            FieldError: The text is too long.
        """
        context = self.contexts.get("")
        if context is None:
            encoder = self._asked.encoder(self.service)
            context = self.open("", self._request, encoder, self)
        context.append(text)

    def flush(self) -> bool:
        """Ask for all of the text to be spoken, and `flushed` to be told then.

        Returns:
            Whether that will come. It will not where there is no text, nor where the text failed,
            which ends here: what comes next is another.
        """
        context = self.contexts.get("")
        if context is not None and not context.failed:
            context.flush()
            return True
        self.close("")
        return False
