"""Column names as words, whatever the habit: ``MonthlyCharges``, ``monthly_charge``, ``Monthly Charge``."""

from __future__ import annotations

import re
import unicodedata

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_ALIASES = {
    "cust": "customer", "acct": "account", "num": "number", "nbr": "number", "cnt": "count", "qty": "count",
    "amt": "amount", "avg": "average", "mth": "month", "mths": "month", "mo": "month", "mos": "month",
    "mon": "month", "yr": "year", "yrs": "year", "svc": "service", "serv": "service", "tot": "total",
    "intl": "international", "eve": "evening", "dt": "date", "addr": "address", "tel": "telephone",
    "pmt": "payment", "min": "minute", "mins": "minute", "sec": "second", "secs": "second", "movies": "movie",
    "ids": "id", "plz": "zip", "postleitzahl": "zip", "cep": "zip", "uid": "id",
    # of keys, tables and times in German, French, Spanish, Italian and Dutch
    "nr": "number", "nummer": "number", "numero": "number", "kennung": "id",
    "kunde": "customer", "kunden": "customer", "kd": "customer", "cliente": "customer", "clienti": "customer",
    "klant": "customer", "klanten": "customer", "abonne": "subscriber",
    "vertrag": "contract", "vertrags": "contract", "vertrage": "contract", "vertraege": "contract",
    "contrat": "contract", "contrato": "contract", "contratto": "contract", "contratti": "contract",
    "contracten": "contract", "abonnement": "subscription", "police": "policy", "policen": "policy",
    "zahlung": "payment", "zahlungen": "payment", "paiement": "payment", "pago": "payment",
    "pagamenti": "payment", "betaling": "payment", "betalingen": "payment",
    "rechnung": "invoice", "rechnungen": "invoice", "facture": "invoice", "factura": "invoice",
    "facturen": "invoice", "fatture": "invoice",
    "datum": "date", "beginn": "begin", "von": "from", "seit": "since", "ab": "from", "debut": "begin",
    "inicio": "begin", "inizio": "begin", "alta": "begin", "eintritt": "begin", "eintritts": "begin",
    "ende": "end", "bis": "until", "fin": "end", "baja": "end", "eind": "end", "einde": "end",
    "austritt": "exit", "austritts": "exit", "kundigung": "cancellation", "kundigungs": "cancellation",
    "kuendigung": "cancellation", "kuendigungs": "cancellation", "resiliation": "cancellation",
    "opzegging": "cancellation", "faelligkeit": "due", "faelligkeits": "due", "falligkeit": "due",
    "falligkeits": "due", "echeance": "due", "vencimiento": "due", "scadenza": "due",
    "geburts": "birth", "geburt": "birth", "naissance": "birth", "nacimiento": "birth", "nascita": "birth",
    "geboorte": "birth",
}  # fmt: skip
_COMPOUND = re.compile(r"^([a-z]{2,}?)(datum|beginn?|einde?|ende|nummer|nr|status|grund|id)$")
"""Words that German and Dutch write as one, such as vertragsbeginn."""

_FIRST = frozenset({
    "kunden", "kunde", "kd", "klant", "klanten", "vertrag", "vertrags", "contract", "geburts", "geboorte",
    "start", "end", "eind", "begin", "eintritts", "austritts", "kundigungs", "kuendigungs", "faelligkeits",
    "falligkeits", "policen", "polis", "zahlungs", "rechnungs",
})  # fmt: skip
"""What such words begin with."""

_KEEP_S = frozenset(
    {"address", "status", "class", "gross", "loss", "express", "business", "bonus", "gas", "plus"}
)
_JOINED = {
    "customerid": "customer id", "custid": "customer id", "clientid": "client id", "clientnum": "client id",
    "userid": "user id", "accountid": "account id", "memberid": "member id", "subscriberid": "subscriber id",
    "rownumber": "row number", "rownum": "row number", "rowid": "row id", "zipcode": "zip code",
    "postcode": "postal code", "postalcode": "postal code", "phonenumber": "phone number",
    "firstname": "first name", "lastname": "last name", "fullname": "full name", "surname": "last name",
    "custserv": "customer service", "monthlycharges": "monthly charge",
    "totalcharges": "total charge",
    "monthlycharge": "monthly charge", "totalcharge": "total charge", "paymentmethod": "payment method",
    "paperlessbilling": "paperless billing", "internetservice": "internet service",
    "techsupport": "tech support",
    "phoneservice": "phone service", "onlinesecurity": "online security", "onlinebackup": "online backup",
    "deviceprotection" : "device protection", "streamingtv" : "streaming tv", "streamingmovies" :
    "streaming movie",
    "multiplelines": "multiple line", "signup": "sign up", "email": "e mail", "voicemail": "voice mail",
    "vmail": "voice mail",
}  # fmt: skip


def words(name: str) -> tuple[str, ...]:
    """A name's words: lower case, singular, common short forms written out.

    >>> words("customerID"), words("Avg_Monthly_GB_Download"), words("TotalCharges")
    (('customer', 'id'), ('average', 'monthly', 'gb', 'download'), ('total', 'charge'))
    >>> words("months_on_book"), words("CLIENTNUM"), words("StreamingTV")
    (('month', 'on', 'book'), ('client', 'id'), ('streaming', 'tv'))
    >>> words("Vertragsbeginn"), words("Kundennr"), words("date_de_début")
    (('contract', 'begin'), ('customer', 'number'), ('date', 'de', 'begin'))
    """
    found: list[str] = []
    for word in _WORDS.findall(without_accents(name).replace("'", "").replace("#", " number ")):
        low = word.lower()
        parts = _COMPOUND.match(low)
        if low in _JOINED:
            found.extend(_JOINED[low].split())
        elif parts and parts[1] in _FIRST:
            found.extend(_single(part) for part in parts.groups())
        else:
            found.append(_single(low))
    return tuple(found)


def without_accents(name: str) -> str:
    """Letters without their accents, so that a word with one is one word: Début, Kündigung."""
    apart = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", "".join(one for one in apart if not unicodedata.combining(one)))


def _single(word: str) -> str:
    if word in _ALIASES:
        return _ALIASES[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word not in _KEEP_S:  # noqa: PLR2004 - gas, bus
        if word.endswith("sses"):
            return word[:-2]
        singular = f"{word[:-3]}y" if word.endswith("ies") and word != "movies" else word[:-1]
        return _ALIASES.get(singular, singular)
    return word


def has_phrase(name_words: tuple[str, ...], phrase: str) -> bool:
    """Whether the phrase's words stand in the name, one after the other.

    >>> has_phrase(("total", "monthly", "charge"), "monthly charge")
    True
    """
    wanted = tuple(phrase.split())
    return any(name_words[at : at + len(wanted)] == wanted for at in range(len(name_words) - len(wanted) + 1))
