"""Whether a person's words ask for a tool: a verb of the tool's kind stands in them and isn't denied.

Only words that a person said count, so that what a stranger writes can't add any. A tool that only sends what it is
told to somebody whom the person named needs its verb alone; a tool that needs nobody named must be named word by word.
"""

import re

from msgspec import Struct

from agenthost.core.definitions import PinnedTool
from agenthost.programs.trust.values import name_words
from agenthost.programs.trust.words import Words, fold, word_set

_TOKEN = re.compile(r"[^\W_]+")

KINDS: dict[str, frozenset[str]] = {
    "send": word_set(
        "send sent mail email e-mail write wrote tell forward reply answer respond notify message inform text invite "
        "remind ping dm ask thank let contact schick schicke sende mail maile schreib schreibe antwort beantwort "
        "benachrichtig informier sag leite weiterleit erinner lade frag melde teile mitteil envoie envoyer écri écris "
        "répond préviens transfère dis informe envía enviar manda escrib respond responde reenvía avisa dile informa"
    ),
    "add": word_set(
        "add create make new open book reserve schedule plan put enter set arrange register enrol log record file save "
        "store note insert append write import draft block order erstell erzeug leg lege anleg trag trage eintrag buch "
        "buche reservier plane plan vermerk notier speicher sicher hinterleg mach crée créer ajout réserv inscri "
        "planifi enregistr mets note crea crear añad agrega reserv anota guarda pon programa"
    ),
    "update": word_set(
        "update change edit move rename mark reschedule correct close resolve reopen assign rate sort tag label archive "
        "complete finish fix star pin switch turn dim set änder aktualisier verschieb "
        "markier schließ benenn ordne weise stell setz archivier erledig korrigier chang modifi déplac renomm marque "
        "ferme cambia actualiz mueve renombra marca cierra corrige"
    ),
    "decide": word_set("merge accept decline rsvp approve reject annehm ablehn genehmig accept refus aprueb rechaz"),
    "delete": word_set(
        "delete remove cancel clear erase unsubscribe purge empty discard wipe trash lösch entfern storni kündig "
        "abbestell leer leere absag verwerf supprim efface annul désabonn vide borra elimina cancela anula vacía"
    ),
    "pay": word_set(
        "pay transfer buy order purchase donate wire refund tip bezahl zahl überweis kauf bestell spend erstatt paie "
        "payer pay vire virement achèt achet command rembours paga transfier compra ped reembols"
    ),
    "post": word_set(
        "post publish tweet blog announce share upload push deploy release comment toot poste veröffentlich teile lade "
        "hochlad kommentier publi partag tuit comparte comenta sube despleg"
    ),
    "run": word_set(
        "run execute start launch restart trigger call invoke stop reboot build ausführ führ starte start exécut lance "
        "démarr ejecut inicia lanza reinicia"
    ),
    "grant": word_set(
        "grant share invite give allow permit authorise authorize access freigeb teile gewähr erlaub donne partag "
        "autoris comparte permit autoriza"
    ),
}
"""Kinds of deeds, and the beginnings of the words by which people ask for them (English, German, French, Spanish)."""

_STEMS = {
    stem: frozenset(kind for kind, stems in KINDS.items() if stem in stems)
    for stem in frozenset[str]().union(*KINDS.values())
}
LEAST_STEM, LONGEST_ENDING = 4, 4
"""Letters of a stem that may have an ending, and of the ending."""

GRAVE = ("delete", "pay", "grant", "post", "run", "decide")
"""Where a tool's name has a word of one of these kinds, no other kind will do."""

EITHER = word_set(
    "mail email text message note order comment post book share contact answer record file log call run change transfer "
    "open set plan block draft clear empty close complete correct trash refund tip blog release push upload stop start "
    "build access mark label tag star pin switch turn dim schedule register store arrange reserve command trigger launch "
    "restart purchase request accept plane buche trage lade poste reply forward remind ping notice write rate sort move "
    "cancel purge discard wipe archive fix"
)
"""Words that are a noun or an adjective as well: they ask for a deed only where a verb stands, at the beginning of a
clause or after one of `LEADS`."""

LEADS = word_set(
    ", and then please to or also but now just must should can could would will you i we lets let's want kindly bitte und "
    "dann auch zu soll sollst kannst et puis s'il plaît veuillez y luego favor después"
)
JOINS = word_set(", and then und dann et puis y luego")
TALK = word_set("tell write wrote answer let ask inform remind sag schreib schreibe dis écris écri dime dile informa")
OURSELVES = word_set("me us mir uns mich moi nous myself")
TELLING = frozenset(("send", "add"))
"""Kinds of deed that tell somebody something: where the person named whom, no verb has to say so."""
_NOT = word_set(
    "not never no don't dont doesn't without nicht nie niemals kein keine keinen ohne pas jamais ne n sans aucun aucune "
    "nunca sin tampoco avoid refrain"
)
_NOTHING = word_set("nothing nobody nicht nichts niemandem keinem kein keine keinen pas rien personne nada nadie")
_FILLER = word_set(
    "tool api new my the a an to do perform v1 v2 item items data service google gmail outlook slack github jira notion "
    "mcp client entry record object resource"
)
_REPLY = ("reply", "answer", "respond", "antwort", "beantwort", "répond", "responde", "contesta")
BEFORE, AFTER = 3, 2
"""How many words before and after a verb can deny it."""


def _is(token: str, stem: str) -> bool:
    if token == stem:
        return True
    # "answer" and "answered", "lösch" and "lösche": an ending, not another word.
    return len(stem) >= LEAST_STEM and token.startswith(stem) and len(token) - len(stem) <= LONGEST_ENDING


def kinds(word: str) -> frozenset[str]:
    """The kinds of deed that a word can ask for."""
    found = _STEMS.get(word, frozenset())
    for length in range(max(LEAST_STEM, len(word) - LONGEST_ENDING), len(word)):
        found |= _STEMS.get(word[:length], frozenset())
    return found


class _Part(Struct):
    """A part of a clause, up to a comma or an "and": the kinds of deed that it asks for, those that it denies, its words."""

    kinds: set[str]
    denied: set[str]
    said: set[str]


def _parts(words: Words) -> list[_Part]:
    parts: list[_Part] = []
    for clause in words.clauses():
        parts.append(_Part(set(), set(), set()))
        for index, token in enumerate(clause):
            before, after = clause[max(0, index - BEFORE) : index], clause[index + 1 : index + 1 + AFTER]
            if token in JOINS:
                parts.append(_Part(set(), set(), set()))
            if _NOT.intersection(before) or _NOTHING.intersection(after):
                parts[-1].denied |= kinds(token)
                continue
            parts[-1].said.add(token)
            either = token in EITHER or token.removesuffix("s") in EITHER
            if either and before and before[-1] not in LEADS:
                continue
            # "Tell me" wants an answer, and no message to anybody.
            if not (token in TALK and after and after[0] in OURSELVES):
                parts[-1].kinds |= kinds(token)
    return parts


def replies(words: Words) -> bool:
    """Whether the person wants somebody to be answered: then who wrote is whom to write to."""
    return any(_is(token, stem) for clause in words.clauses() for token in clause for stem in _REPLY)


def asked_for(tool: PinnedTool, words: Words, named: bool, addressed: bool, known: bool = False) -> bool:
    """Whether the person's words ask for a tool. `named`: they name whom or what it reaches; `addressed`: they name a
    recipient, and not as who wrote something. `known`: nothing is asked for by a verb that stands in no list here."""
    meant = [word for word in name_words(tool.name) if word not in _FILLER] or name_words(tool.name)
    of = {word: kinds(word) for word in meant}
    deeds = frozenset[str]().union(*of.values())
    if known and (not deeds or deeds.intersection(GRAVE)):
        return False
    parts = _parts(words)
    denied = any(part.denied & deeds for part in parts)
    if addressed and not known and deeds and deeds <= TELLING and not denied:
        return True
    grave = deeds.intersection(GRAVE)
    parts = [part for part in parts if part.kinds & (grave or deeds)] if deeds else parts
    if named and deeds:
        return bool(parts)
    # Nobody is named: then what it is done to must be, beside the verb.
    verb = next((word for word in meant if of[word]), "")
    nouns = [word for word in meant if word != verb]
    if nouns and not tool.source:
        nouns += [word for word in _TOKEN.findall(fold(tool.description)) if len(word) > 3 and not of.keys() & {word}]
    return any(not nouns or any(_said(noun, part.said) for noun in nouns) for part in parts)


def _said(word: str, said: set[str]) -> bool:
    return any(_is(token, word) or _is(word, token) for token in said)
