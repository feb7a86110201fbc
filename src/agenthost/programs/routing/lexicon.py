"""Small tables of what people write in several languages: only what can hardly mean anything else.

Each is in the form of `text.plain`. A phrase stands between bars; add one where it is sure, with a case in the labelled set.
"""

from agenthost.programs.routing.text import plain


def _table(*rows: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(phrase) for row in rows for phrase in row.split("|")))


YES = frozenset(
    _table(
        "yes|yep|yeah|yup|y|ok|okay|sure|ja|jo|jawohl|klar|gern|oui|ouais|si|sì|sí|claro|vale|sim|da|да|ага|tak|evet|tamam|hai|はい|好|好的|是|对|可以|نعم|ايوه|اه|तो|हाँ|हां|जी|네|응|ใช่|ได้|👍|✅"
    )
)
NO = frozenset(
    _table("no|nope|nah|n|nein|nö|nee|non|não|нет|nie|hayır|yok|いいえ|不|不要|不用|لا|नहीं|아니|아니요|ไม่|👎|❌")
)

CHAT = frozenset(
    _table(
        "hi|hello|hey|hello there|good morning|good evening|good night|morning|thanks|thank you|thank you so much|thanks a lot|many thanks|great thanks|great thanks a lot|cheers|ty|thx",
        "hallo|moin|guten morgen|guten abend|gute nacht|danke|danke schön|vielen dank|danke dir|super danke|bonjour|salut|bonsoir|merci|merci beaucoup|hola|buenos días|buenas|gracias|muchas gracias|ciao|buongiorno|grazie|grazie mille",
        "olá|oi|bom dia|obrigado|obrigada|hoi|dank je|dank je wel|bedankt|cześć|dzień dobry|dziękuję|dzięki|привет|спасибо|спасибо большое|доброе утро|merhaba|günaydın|teşekkürler|teşekkür ederim|sağ ol",
        "こんにちは|おはよう|おはようございます|ありがとう|ありがとうございます|你好|谢谢|早上好|多谢|شكرا|مرحبا|صباح الخير|مساء الخير|धन्यवाद|नमस्ते|안녕하세요|감사합니다|ขอบคุณ|สวัสดี",
    )
)

ORDINALS: tuple[frozenset[str], ...] = tuple(
    frozenset(_table(row))
    for row in (
        "first|the first|the first one|das erste|die erste|der erste|den ersten|le premier|la première|el primero|la primera|il primo|la prima|a primeira|o primeiro|de eerste|pierwszy|pierwsza|первый|первое|первая|birincisi|ilki|第一个|一つ目|الأول|الاول|الأولى",
        "second|the second|the second one|das zweite|die zweite|der zweite|den zweiten|le deuxième|la deuxième|le second|la seconde|el segundo|la segunda|il secondo|la seconda|a segunda|o segundo|de tweede|drugi|druga|второй|второе|вторая|ikincisi|第二个|二つ目|الثاني|الثانية",
        "third|the third|the third one|das dritte|die dritte|der dritte|den dritten|le troisième|la troisième|el tercero|la tercera|il terzo|la terza|a terceira|o terceiro|de derde|trzeci|trzecia|третий|третье|третья|üçüncüsü|第三个|三つ目|الثالث|الثالثة",
    )
)

NEW = frozenset(
    _table(
        "new|a new one|new task|neither|neu|neue aufgabe|keins davon|nouveau|nouvelle|nueva|nuevo|nuova|nuovo|nova|novo|nieuw|nowe|nowa|новое|новая|yeni|新しい|新规|新的|جديد|جديدة"
    )
)


def affirms(said: str) -> bool:
    """Whether a text in plain form begins with a yes."""
    return _begins(said, YES)


def denies(said: str) -> bool:
    """Whether a text in plain form begins with a no."""
    return _begins(said, NO)


def ordinal(said: str) -> int:
    """The place, from 1, that a text in plain form names and nothing else; 0 for none."""
    return next((at for at, names in enumerate(ORDINALS, 1) if said in names), 0)


def _begins(said: str, table: frozenset[str]) -> bool:
    first, _, rest = said.strip().partition(" ")
    return f" {first} " in table and len(rest.split()) <= 11
