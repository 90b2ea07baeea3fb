"""What a session says first, and what it says to a client that comes back."""

from dataclasses import dataclass

from streaming.protocol import PROTOCOL_VERSION, AudioPart, Begin, GlossaryPart, Limits
from streaming.sessions.listening import Listening
from streaming.sessions.session_settings import SessionSettings


@dataclass(frozen=True, slots=True)
class Greeter:
    """Writes the greetings of one session.

    Attributes:
        session_id: its name.
        settings: what the client asked for.
        limits: what is enforced.
        resume_token: with which a client may take the session up again, if it may.
    """

    session_id: str
    settings: SessionSettings
    limits: Limits
    resume_token: str | None

    def begin(self, seq: int, listening: Listening, resumed_at_frame: int | None = None) -> Begin:
        """The greeting; `resumed_at_frame` counts the PCM frames that a session has which is taken up again."""
        audio_format, glossary = self.settings.format, listening.glossary
        is_resumed = resumed_at_frame is not None
        return Begin(
            seq=seq,
            protocol=PROTOCOL_VERSION,
            session_id=self.session_id,
            glossary=GlossaryPart(id=listening.glossary_id, version=glossary.version, terms=glossary.terms),
            profile=listening.profile,
            threshold=listening.decision.threshold,
            audio=AudioPart(
                encoding=audio_format.encoding,
                sample_rate=audio_format.sample_rate,
                channels=audio_format.channels,
            ),
            limits=self.limits,
            resume_token=self.resume_token,
            expires_in_s=None if self.resume_token is None else self.limits.resume_window_s,
            resumed=is_resumed or None,
            audio_received_s=None if resumed_at_frame is None else resumed_at_frame / audio_format.sample_rate,
            audio_received_frames=resumed_at_frame,
        )

    def missing_choice(self, listening: Listening) -> str | None:
        """What to tell a client that has yet to choose between translations; None for any other."""
        langs = listening.glossary.target_langs
        if self.settings.target_lang is not None or len(langs) < 2:
            return None
        choice = [lang for lang in langs if lang]
        return f"hints come without translation: add target_lang={choice[0]} (there are: {', '.join(choice)})"
