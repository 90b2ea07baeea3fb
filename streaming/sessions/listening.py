"""What a session listens for at the moment, and how that changes: a `Configure`, or a new version of the glossary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streaming.decision_config import DecisionConfig
from streaming.errors import SettingError
from streaming.protocol import Configure, EffectivePart, RejectedMessage
from streaming.sessions.closing import RefusedSession
from streaming.sessions.served_glossary import ServedGlossary, served_glossary
from streaming.sessions.session_settings import LATEST, SessionSettings
from streaming.wire.typed_json import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What decides in a session.

    `version` is `LATEST` or the one that the client wants; `threshold`, `false_hints_per_hour` and `max_hints` beat
    those of the profile, which depend on the size of the glossary.
    """

    glossary_id: str
    version: str
    glossary: ServedGlossary
    source_lang: str
    target_lang: str | None
    profile: str
    threshold: float | None = None
    false_hints_per_hour: float | None = None
    max_hints: int | None = None
    mute_entries: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: SessionSettings, glossary: ServedGlossary) -> "Listening":
        """What a new session listens for."""
        return cls(
            glossary_id=settings.glossary,
            version=settings.version,
            glossary=glossary,
            source_lang=settings.source_lang,
            target_lang=settings.target_lang,
            profile=settings.profile,
        )

    @property
    def decision(self) -> DecisionConfig:
        """When a candidate becomes a hint. Raises SettingError for a number out of its range."""
        decision = replace(self.glossary.profiles[self.profile], mute_entries=self.mute_entries)
        if self.false_hints_per_hour is not None:
            decision = decision.asking_for(self.false_hints_per_hour)
        if self.threshold is not None:
            decision = replace(decision, threshold=self.threshold, budget=None)
        if self.max_hints is not None:
            decision = replace(decision, max_hints_per_hop=self.max_hints)
        return decision

    @property
    def effective(self) -> EffectivePart:
        """What a client is told of it."""
        decision = self.decision
        return EffectivePart(
            profile=self.profile,
            threshold=decision.threshold,
            max_hints_per_window=decision.max_hints_per_hop,
            glossary=self.glossary_id,
            version=self.glossary.version,
            mute_entries=tuple(sorted(self.mute_entries)),
            false_hints_per_hour=None if decision.budget is None else decision.budget.per_hour,
        )

    def followed(self, served: Mapping[str, ServedGlossary]) -> "Listening":
        """The same with the version that is served now, if the session follows; one that is gone is listened to on."""
        latest = served.get(self.glossary_id) if self.version == LATEST else None
        return self if latest is None or latest is self.glossary else replace(self, glossary=latest)

    def configured(self, message: Configure, served: Mapping[str, ServedGlossary]) -> "Listening":
        """The same with all that `message` asks for. Raises RejectedMessage that names the field which cannot be."""
        try:
            changed = self._with_glossary(message, served)
            changed = changed._with_profile(message)
            changed = changed._with_mutes(message)
        except RefusedSession as refused:
            raise RejectedMessage(
                refused.code, str(refused), field=refused.field, request_id=message.request_id
            ) from refused
        for field, numbers in (
            ("false_hints_per_hour", replace(changed, threshold=None, max_hints=None)),
            ("threshold", replace(changed, max_hints=None)),
            ("max_hints_per_window", replace(changed, threshold=None)),
        ):
            try:
                _ = numbers.decision
            except SettingError as error:
                # The decision's own names are not those of the wire.
                raise _invalid(message, field, str(error).replace("max_hints_per_hop", field)) from error
        return changed

    def _with_glossary(self, message: Configure, served: Mapping[str, ServedGlossary]) -> "Listening":
        if message.glossary is None and message.version is None:
            return self
        glossary_id = self.glossary_id if message.glossary is None else message.glossary
        version = LATEST if message.version is None else message.version
        also = self.glossary if glossary_id == self.glossary_id else None
        glossary = served_glossary(glossary_id, version, served, also=also)
        if glossary.source_lang != self.source_lang:
            reason = f"{glossary_id} is spoken in {glossary.source_lang}: open a new session with it"
            raise _invalid(message, "glossary", reason)
        langs = glossary.target_langs
        if self.target_lang is not None and glossary_id != self.glossary_id and not {self.target_lang, ""} & set(langs):
            reason = (
                f"{glossary_id} has no translations into {self.target_lang}, only into: {', '.join(langs) or 'none'}"
            )
            raise _invalid(message, "glossary", f"{reason}; open a new session with it")
        return replace(self, glossary_id=glossary_id, version=version, glossary=glossary)

    def _with_profile(self, message: Configure) -> "Listening":
        profile = self.profile if message.profile is None else message.profile
        if profile not in self.glossary.profiles:
            known = ", ".join(self.glossary.profiles)
            raise _invalid(message, "profile", f"profile {shown(profile)} is not known: it is one of {known}")
        # A profile takes back the numbers given before; those given with it beat it.
        old = self
        if message.profile is not None:
            old = replace(self, threshold=None, false_hints_per_hour=None, max_hints=None)
        threshold, per_hour = message.threshold, message.false_hints_per_hour
        if threshold is None and per_hour is None:
            threshold, per_hour = old.threshold, old.false_hints_per_hour
        hints = old.max_hints if message.max_hints_per_window is None else message.max_hints_per_window
        return replace(self, profile=profile, threshold=threshold, false_hints_per_hour=per_hour, max_hints=hints)

    def _with_mutes(self, message: Configure) -> "Listening":
        if message.mute_entries is None:
            return self
        known = self.glossary.register
        if (unknown := next((each for each in message.mute_entries if each not in known), None)) is not None:
            reason = f"{self.glossary_id} {self.glossary.version} has no entry {shown(unknown)}"
            raise _invalid(message, "mute_entries", f"{reason}: take the entry_id of a hint")
        return replace(self, mute_entries=frozenset(message.mute_entries))


def _invalid(message: Configure, field: str, reason: str) -> RejectedMessage:
    return RejectedMessage("invalid_config", reason, field=field, request_id=message.request_id)
