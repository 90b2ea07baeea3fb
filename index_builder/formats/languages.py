"""Languages as authors write them: a code, a name in English or German, or the language's own name."""

import re
import unicodedata
from dataclasses import dataclass

# Code -> its name in English, in the language itself and, where authors write it so, in German.
_LANGUAGE_NAMES = {
    "ar": ("arabic", "العربية", "عربي", "arabisch"),
    "bg": ("bulgarian", "български", "bulgarisch"),
    "cs": ("czech", "čeština", "česky", "tschechisch"),
    "da": ("danish", "dansk", "dänisch"),
    "de": ("german", "deutsch"),
    "el": ("greek", "ελληνικά", "griechisch"),
    "en": ("english", "englisch"),
    "es": ("spanish", "español", "castellano", "spanisch"),
    "fa": ("persian", "farsi", "فارسی", "persisch"),
    "fi": ("finnish", "suomi", "finnisch"),
    "fr": ("french", "français", "französisch"),
    "he": ("hebrew", "עברית", "hebräisch"),
    "hi": ("hindi", "हिन्दी", "हिंदी"),
    "hu": ("hungarian", "magyar", "ungarisch"),
    "id": ("indonesian", "bahasa indonesia", "indonesisch"),
    "it": ("italian", "italiano", "italienisch"),
    "ja": ("japanese", "日本語", "japanisch"),
    "ko": ("korean", "한국어", "koreanisch"),
    "nl": ("dutch", "nederlands", "niederländisch"),
    "no": ("norwegian", "norsk", "norwegisch"),
    "pl": ("polish", "polski", "polnisch"),
    "pt": ("portuguese", "português", "portugiesisch"),
    "ro": ("romanian", "română", "rumänisch"),
    "ru": ("russian", "русский", "russisch"),
    "sv": ("swedish", "svenska", "schwedisch"),
    "th": ("thai", "ไทย", "ภาษาไทย", "thailändisch"),
    "tr": ("turkish", "türkçe", "türkisch"),
    "uk": ("ukrainian", "українська", "ukrainisch"),
    "vi": ("vietnamese", "tiếng việt", "vietnamesisch"),
    "zh": ("chinese", "中文", "汉语", "漢語", "普通话", "chinesisch"),
    "zh-cn": ("simplified chinese", "简体中文"),
    "zh-tw": ("traditional chinese", "繁體中文"),
}
_LANGUAGES = {name: code for code, names in _LANGUAGE_NAMES.items() for name in names}
# ISO 639-1, so that a stray two-letter word is not taken for a language.
_CODES = frozenset(
    (
        "aa ab af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
        "en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it "
        "iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt "
        "my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl "
        "sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo "
        "za zh zu "
    ).split()
)
# ISO 639-2 and 639-3, as TBX files and some sheets write them, for the languages that have a name here.
_LONG_CODES = dict(
    pair.split("=")
    for pair in (
        "ara=ar bul=bg ces=cs cze=cs dan=da deu=de ger=de ell=el gre=el eng=en spa=es fas=fa per=fa fin=fi fra=fr "
        "fre=fr heb=he hin=hi hun=hu ind=id ita=it jpn=ja kor=ko nld=nl dut=nl nor=no pol=pl por=pt ron=ro rum=ro "
        "rus=ru swe=sv tha=th tur=tr ukr=uk vie=vi zho=zh chi=zh"
    ).split()
)
_REGION = re.compile(r"[a-z0-9]{2,8}(-[a-z0-9]{2,8})*")
# ISO 639-2 for a text whose language is not known.
_UNDETERMINED = "und"


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a glossary: `source` of its terms, `target` of an unnamed translation ("" where unknown)."""

    source: str = "en"
    target: str = ""


def language_code(name: str) -> str:
    """A language code ("de", "pt-br") or a language's name ("German", "Deutsch") as a lower-case code; "" otherwise."""
    # Accents may be written as characters of their own.
    written = unicodedata.normalize("NFC", name).strip().lower()
    if written in _LANGUAGES:
        return _LANGUAGES[written]
    plain = written.replace("_", "-")
    primary, sign, region = plain.partition("-")
    primary = _LONG_CODES.get(primary, primary)
    known = primary in _CODES and (not sign or _REGION.fullmatch(region) is not None)
    return primary + sign + region if known else ""


def as_code(name: str) -> str:
    """What a translation into a language is filed under: its code, else the name as written; "" for "und"."""
    if not name:
        return ""
    # An index keeps it as a name, so it must be printable.
    written = " ".join("".join(sign for sign in " ".join(name.split()) if sign.isprintable()).split())
    return "" if written.lower() == _UNDETERMINED else language_code(written) or written


def is_spoken_in(language: str, source: str) -> bool:
    """Whether a text in `language` is one in `source`: the same code, or the same language of another region."""
    code, wanted = as_code(language), as_code(source)
    return code == wanted or ("-" not in wanted and code.partition("-")[0] == wanted)
