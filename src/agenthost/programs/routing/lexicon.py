"""Small tables of what people write in several languages: only what can hardly mean anything else.

A phrase stands between bars; it is brought to the form of `text.plain`. Add one where it is sure, with a case in the labelled set: what
is missing costs a question to a model, what is wrong costs a person's trust.
"""

from functools import cache

from agenthost.core.routing import Meaning
from agenthost.programs.routing.text import DENSE, plain

Phrases = frozenset[str]


def _table(*rows: str) -> Phrases:
    phrases = (plain(phrase) for row in rows for phrase in row.split("|"))
    # In writing without spaces a phrase stands anywhere.
    return frozenset(phrase.strip() if DENSE.search(phrase) else phrase for phrase in phrases)


YES = _table(
    "yes|yep|yeah|yup|y|ok|okay|sure|ja|jo|jawohl|klar|gern|oui|ouais|si|sí|claro|vale|sim|tak|evet|tamam|да|ага|конечно",
    "hai|はい|うん|ええ|好|好的|是|是的|对|對|可以|嗯|نعم|ايوه|أيوة|اه|تمام|हाँ|हां|जी|जी हाँ|네|응|ใช่|ได้|👍|✅",
)
NO = _table(
    "no|nope|nah|n|nein|nö|nee|non|não|нет|nie|hayır|yok|いいえ|いや|不|不要|不用|لا|नहीं|아니|아니요|ไม่|👎|❌",
)
CHAT = _table(
    "hi|hello|hey|hello there|hi there|good morning|good evening|good night|night|night night|morning|thanks|thank you|so much|very much|a lot|many|cheers|ty|thx",
    "hallo|moin|guten morgen|guten abend|gute nacht|danke|danke schön|vielen dank|dankeschön|bonjour|salut|bonsoir|bonne nuit|merci|beaucoup",
    "hola|buenos días|buenas|buenas noches|gracias|muchas gracias|mil gracias|ciao|buongiorno|buonasera|grazie|grazie mille|olá|oi|bom dia|boa noite|obrigado|obrigada",
    "hoi|goedemorgen|dank je|dank je wel|dankjewel|bedankt|cześć|dzień dobry|dziękuję|dzięki|wielkie dzięki|привет|спасибо|большое|огромное|доброе утро|добрый день",
    "merhaba|selam|günaydın|teşekkürler|teşekkür ederim|çok|sağ ol|こんにちは|おはよう|おはようございます|こんばんは|ありがとう|ありがとうございます|助かりました|お疲れ様です|你好|您好|谢谢|謝謝|早上好|早|多谢|辛苦了",
    "شكرا|شكرا جزيلا|مرحبا|السلام عليكم|صباح الخير|مساء الخير|مساء النور|الله يعطيك العافية|धन्यवाद|शुक्रिया|नमस्ते|안녕하세요|감사합니다|고마워요|ขอบคุณ|ขอบคุณครับ|ขอบคุณค่ะ|สวัสดี|สวัสดีครับ|สวัสดีค่ะ",
)
"""Of a message that is nothing else."""

PRAISE = _table(
    "great|lovely|nice|perfect|cool|super|prima|toll|klasse|perfekt|parfait|génial|top|genial|perfecto|perfetto|ottimo|perfeito|ótimo|mooi|świetnie|super|отлично|супер|harika|süper|太好了|很好|いいですね|すごい|ممتاز|बढ़िया|좋아요|ดีมาก|👌|🙌"
)
"""Beside thanks; alone it may be a yes."""
KIND = CHAT | PRAISE

LIST_WORD = _table(
    "list|ps|tasks|liste|aufgaben|tâches|tareas|attività|tarefas|taken|zadania|задачи|список|görevler|任务|タスク|一覧|المهام|काम|작업|งาน"
)
"""Of a message that is nothing else."""
LIST = _table(
    "what are you working on|what all are you doing|what all you are doing|what's going on|what is going on|what's happening with everything|what tasks|which tasks|what is open|what's open|what is still open|what's still open|everything you are doing",
    "woran arbeiten sie|woran arbeitest du|was läuft gerade|was läuft alles|was ist offen|was ist noch offen|welche aufgaben|was steht an|qu'est-ce qui est en cours|quelles tâches|sur quoi tu travailles|tu fais quoi en ce moment",
    "qué tienes pendiente|qué tareas|en qué estás trabajando|qué hay pendiente|cosa c'è in sospeso|cosa c'è ancora in sospeso|a cosa stai lavorando|quali compiti|o que está pendente|que tarefas|em que estás a trabalhar",
    "wat loopt er|wat staat er open|welke taken|waar ben je mee bezig|co jest w toku|co jest jeszcze w toku|nad czym pracujesz|jakie zadania|какие задачи|что в работе|что сейчас в работе|над чем работаешь|neler var|hangi işler|neler yapıyorsun",
    "正在做什么|都在做什么|有哪些任务|哪些任务|今お願いしてるもの|一覧ください|何をやって|タスク一覧|شو عم تشتغل|ما المهام|ماذا تعمل الآن|क्या क्या चल रहा|कौन से काम|무슨 작업|진행 중인 작업|ทำอะไรอยู่บ้าง|มีงานอะไร",
)
PROGRESS = _table(
    "how far|how is it going|how's it going|how is it coming|how's it coming|any news|any update|is it ready|is it done|how's progress|still working on|are you done|is it finished|finished yet|ready yet",
    "wie weit|wie steht es um|wie steht's um|wie stehts um|wie steht es mit|schon fertig|wie läuft's mit|où en est|où en es-tu|en est où|on en est où|ça avance|du nouveau",
    "cómo va|cómo vas|por dónde vas|hay novedades|alguna novedad|a che punto|ci sono novità|como vai o|como vai a|em que pé|alguma novidade|hoe staat het met|hoe ver|al klaar|jak idzie|i co z|na jakim etapie",
    "на каком этапе|как там|есть новости|готово ли|ne durumda|ne aşamada|hazır mı|ses var mı|进度|怎么样了|好了吗|進度|怎麼樣了|どうなって|進捗|どこまで|進み具合|وين وصلت|أين وصلت|شو صار|कहाँ तक|कितना हुआ|어디까지|진행 상황|ถึงไหน|คืบหน้า",
)
CANCEL = _table(
    "forget the|forget about|forget it|never mind|drop it|cancel it|cancel that|call it off|you can stop with|stop working on|no longer need|not needed any more|don't need it any more",
    "vergiss das|vergiss es|vergiss die|vergiss den|hat sich erledigt|brauche ich nicht mehr|brauchen wir nicht mehr|brich das ab|laisse tomber|laissez tomber|plus besoin|olvídalo|olvida lo|olvídate|déjalo|ya no hace falta",
    "lascia perdere|lascia stare|non serve più|esquece|deixa pra lá|já não é preciso|não precisa mais|laat maar|hoeft niet meer|odwołaj|już nie trzeba|nie trzeba już|отмени|больше не нужно|уже не нужно|забудь",
    "iptal et|vazgeçtim|gerek kalmadı|取消吧|算了|不用做了|不用了|キャンセルで|やめて|もういいです|なしで大丈夫|الغي|انسى|ما عاد بدي|रद्द कर|रहने दो|취소해|그만해|ยกเลิก",
)
PAUSE = _table(
    "on hold|hold on with|put it aside|pause it|pause the|auf eis|pausier|erst mal pausieren|de côté|en pause|mets en pause|en espera|en pausa|fermati un attimo|in pausa|em pausa|pára um pouco|op pauze|even pauze",
    "wstrzymaj|na razie zostaw|приостанови|поставь на паузу|beklet|beklemeye al|askıya al|暂停|先停|先放一放|一時停止|いったん止め|一旦止め|أوقف مؤقتا|وقف شوي|रोक दो|रोक कर|보류|잠깐 멈춰|พักไว้",
)
RESUME = _table(
    "go on|carry on|you can continue|please continue|continue with|please resume|resume the|resume it|weiter geht's|weiter gehts|mach weiter|weitermachen|machen sie weiter|continuez|pouvez continuer|peux continuer|reprends|reprenez|reprendre|sigue|continúa|puedes seguir|retoma",
    "riprendi|vai avanti|podes continuar|pode continuar|retoma|ga verder|ga maar verder|kun je verder|je kunt verder|wznów|wznawiaj|kontynuuj|продолжай|продолжайте|возобнови|devam et|devam edebilir|继续|繼續|再開|続けて",
    "تابع|كمل|كملي|जारी|आगे बढ़|फिर से शुरू|계속|다시 시작|ทำต่อ|ต่อได้",
)
STAND = _table("progress|status|state|stand|état|estado|stato|stan|статус|durum|进度|進捗|状況|حالة|स्थिति|상태|สถานะ")
"""Alone, beside a task that is named."""
END = _table(
    "cancel|stop|abort|kill|drop|abbrechen|stopp|stoppen|streichen|annule|annuler|annulez|arrête|stoppe|cancela|cancelar|anula|para|annulla|ferma|anuluj|odwołaj|стоп|отмени|отмена|iptal|dur|取消|停止|キャンセル|中止|إلغاء|الغي|रद्द|취소|중지|ยกเลิก|หยุด"
)
"""At the beginning of few words beside a task that is named."""
ORDERS: dict[Meaning, Phrases] = {"cancel": CANCEL, "pause": PAUSE, "progress": PROGRESS}
RESUME_WORD = _table("continue|resume|weiter|continua|continúa|continuer|verder|devam|reprendre|riprendere")
"""Of a message that is nothing else."""
NEW_THING = _table(
    "something else|another thing|different thing|new task|something different|etwas anderes|was anderes|andere sache|neue aufgabe|neues thema|autre chose|rien à voir|otra cosa|un'altra cosa|altra cosa|outra coisa|iets anders|inna sprawa|a i jeszcze jedno",
    "другое дело|ещё одно дело|кстати другое|başka bir şey|başka bi şey|另外|另一件|別件|別の件|موضوع ثاني|شي تاني|شغلة تانية|एक और काम|다른 건|อีกเรื่อง",
)
"""At the beginning of a message."""

MEANT = _table(
    "was for the|was meant for|were for the|belongs to the|i meant the|meant for the|wrong chat|wrong task|das war für|war für den|war für die|war fürs|gehört zum|gehört zur|c'était pour|era para|era per|was voor|verkeerd geantwoord",
    "to było do|to było dla|это было для|это про|yanlış yere|diyordum|için demiştim|那是|说的是|それは|の方でした|كان قصدي|هذا لل|के लिए था|거였어|หมายถึง",
)
WANT = _table(
    "i need a|i need some|i also need|we need a|we also need|we need some|i want a|i'd like a|find me|get me|make me a|make me an|write me a|can you make me|could you make me|brauche noch|brauche auch|brauche ein|brauche einen|brauche eine|brauchen noch",
    "brauchen auch|brauchen ein|brauchen einen|brauchen eine|mach mir ein|mach mir eine|mach mir einen|schreib mir|such mir|il me faudrait|il me faut un|il me faut une|j'aurais besoin|fais moi un|fais moi une|trouve moi|hazme un|hazme una|necesito un",
    "necesito una|búscame|mi serve un|mi serve una|avrei bisogno|avrei da|mi trovi|fammi un|fammi una|preciso de um|preciso de uma|faz me um|faz me uma|heb een|zoek een|maak een|potrzebuję|znajdź mi|zrób mi|szukaj jakiejś|szukaj jakiegoś",
    "нужен|нужна|сделай мне|найди мне|напиши мне|lazım|bana bir|帮我做一|帮我写一|帮我找|幫我做一|幫我寫一|幫我找|作ってほしい|作ってください|書いてほしい|探してほしい|比較してほしい|スクリプト書けますか|اكتبلي|اعملي|بدي|أريد",
    "चाहिए|बना दो|만들어 줘|만들어줘|찾아 줘|찾아줘|써 줘|써줘|อยากได้|ช่วยทำ|ช่วยหา|ช่วยเขียน",
    "book a|order a|plan a|find a|look for a|find out|draw me|translate this|can you find|could you find|please find|buche einen|buche ein|bestell ein|such ein|such eine|plan mal|plan eine|finde ein|kannst du mir|könntest du mir|können sie mir",
    "tu peux me|peux tu me|pouvez vous me|pourriez vous me|cherche un|cherche une|trouve un|trouve une|me puedes|puedes hacerme|podrías hacerme|busca un|busca una|reserva un|mi puoi|puoi farmi|mi fai un|mi fai una|cerca un|cerca una|trova un|trova una",
    "podes fazer|podes arranjar|procura um|procura uma|kun je een|wil je een|maak eens|szukam|poszukaj|можешь сделать|можешь найти|поищи|bul bana|bir tane|帮我查|幫我查|帮我订|作成してください|調べてください|予約してください|دور لي|احجزلي|ढूँढ दो|ढूंढ दो|알아봐 줘|예약해 줘",
)
"""Says that something is wished for that isn't there yet."""

NEW = _table(
    "new|a new one|new task|neither|none|neu|neue aufgabe|was neues|keins davon|keine davon|nouveau|nouvelle|aucun|nueva|nuevo|ninguno|nuova|nuovo|nova|novo|nieuw|nowe|nowa|новое|новая|yeni|新しい|新規|新的|جديد|جديدة|नया|새로|ใหม่"
)
ORDINALS = (
    _table(
        "first|1st|erste|erster|ersten|premier|première|primero|primera|primo|prima|primeiro|primeira|eerste|pierwszy|pierwsza|pierwsze|первый|первое|первая|birinci|birincisi|ilki|第一个|第一個|一つ目|1つ目|الأول|الأولى|पहला|पहली|첫 번째|อันแรก"
    ),
    _table(
        "second|2nd|zweite|zweiter|zweiten|deuxième|second|seconde|segundo|segunda|secondo|seconda|tweede|drugi|druga|drugie|второй|второе|вторая|ikinci|ikincisi|第二个|第二個|二つ目|2つ目|الثاني|الثانية|दूसरा|दूसरी|두 번째|อันที่สอง"
    ),
    _table(
        "third|3rd|dritte|dritter|dritten|troisième|tercero|tercera|terzo|terza|terceiro|terceira|derde|trzeci|trzecia|trzecie|третий|третье|третья|üçüncü|üçüncüsü|第三个|第三個|三つ目|3つ目|الثالث|الثالثة|तीसरा|तीसरी|세 번째|อันที่สาม"
    ),
)
NUMBERS: tuple[Phrases, ...] = tuple(
    _table(row)
    for row in (
        "one|eins|un|une|uno|una|um|uma|een|één|jeden|один|одна|bir|一つ|一个|واحد|واحدة|एक|하나|หนึ่ง",
        "two|zwei|deux|dos|due|dois|duas|twee|dwa|dwie|два|две|iki|二つ|两个|اثنين|اثنان|दो|둘|สอง",
        "three|drei|trois|tres|tre|três|drie|trzy|три|üç|三つ|三个|ثلاثة|ثلاث|तीन|셋|สาม",
        "four|vier|quatre|cuatro|quattro|quatro|cztery|четыре|dört|四つ|四个|أربعة|اربعة|चार|넷|สี่",
        "five|fünf|cinq|cinco|cinque|vijf|pięć|пять|beş|五つ|五个|خمسة|خمس|पाँच|पांच|다섯|ห้า",
        "six|sechs|seis|sei|zes|sześć|шесть|altı|六つ|六个|ستة|छह|छः|여섯|หก",
        "seven|sieben|sept|siete|sette|sete|zeven|siedem|семь|yedi|七つ|سبعة|सात|일곱|เจ็ด",
        "eight|acht|huit|ocho|otto|oito|osiem|восемь|sekiz|八つ|ثمانية|आठ|여덟|แปด",
        "nine|neun|neuf|nueve|nove|negen|dziewięć|девять|dokuz|九つ|تسعة|नौ|아홉|เก้า",
        "ten|zehn|dix|diez|dieci|dez|tien|dziesięć|десять|on|十個|عشرة|عشر|दस|열|สิบ",
    )
)
CORRECTION = _table(
    "make that|no make that|hmm no|no wait|wait no|i mean|i meant|scratch that|doch nicht|ne doch|ach nein|nee doch|ne|quatsch|pardon|ah non|non plutôt|enfin non|perdón|no mejor|mejor|anzi|no anzi|aliás|não afinal|afinal|oeps|nee toch|sorry nee|nie jednak|jednak|ой|ой нет|нет лучше|yok yok|pardon nie|不对|不對|いや|やっぱり|やっぱ|لا قصدي|قصدي|नहीं नहीं|아니 그게|ไม่ใช่"
)
"""At the beginning of a message that mends what the same person has just said."""
AROUND = _table(
    "the|one|das|die|der|den|le|la|el|il|o|a|de|het|lo|en|ein|bitte|please|then|dann|also|donc|alors|entonces|allora|quindi|então|dan|wiec|więc|тогда|so|well|well then|ta|to|ten"
)
"""Small words that may stand beside an ordinal."""

MONTHS = _table(
    "jan|january|feb|february|mar|march|apr|april|may|june|july|aug|august|sept|september|oct|october|nov|november|dec|december|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre",
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tue|wed|thu|fri|sat|sun",
    "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo|tomorrow|today|morgen|heute|demain|mañana|domani|amanhã|jutro|завтра|yarın|明天|明日",
)
WHEN = _table(
    "when|which day|what day|which date|what date|what's the last day|deadline|wann|welcher tag|bis wann|quand|quel jour|quelle date|cuándo|qué día|quando|che giorno|que dia|wanneer|welke dag|kiedy|którego dnia|когда|какого числа|ne zaman|hangi gün|什么时候|哪天|いつ|何日|متى|कब|언제|เมื่อไ"
)
HOW_MANY = _table(
    "how many|how much|how long|how wide|how high|how big|what size|which size|wie viele|wie viel|wie lang|wie breit|wie hoch|wie groß|combien|quel budget|quelle taille|cuántos|cuántas|cuánto|quanti|quante|quanto|quantos|quantas|hoeveel|hoe lang|ile|ilu|jakiej szerokości|сколько|kaç|多少|几|幾|いくつ|何人|何枚|كم|कितने|कितनी|कितना|몇|얼마|กี่|เท่าไ"
)


def says(table: Phrases, said: str) -> bool:
    """Whether a text in plain form has a phrase of a table."""
    return any(phrase in said for phrase in table)


def is_one(table: Phrases, said: str) -> bool:
    """Whether a text in plain form is a phrase of a table."""
    return said in table or said.strip() in table


def is_all(table: Phrases, said: str) -> bool:
    """Whether a text in plain form is made of phrases of a table and nothing else."""
    words = said.split()
    at = 0
    while at < len(words):
        lengths = range(min(4, len(words) - at), 0, -1)
        length = next((n for n in lengths if is_one(table, f" {' '.join(words[at : at + n])} ")), 0)
        if not length:
            return False
        at += length
    return bool(words)


def begins(table: Phrases, said: str) -> bool:
    """Whether a text in plain form begins with a phrase of a table."""
    if is_one(table, f" {said.split(maxsplit=1)[0]} " if said.strip() else ""):
        return True
    spaced, dense = _beginnings(table)
    return said.startswith(spaced) or said.strip().startswith(dense)


@cache
def _beginnings(table: Phrases) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The phrases of a table that a text can begin with: as they stand, and those of writing without spaces, as they are without them."""
    long = [phrase for phrase in table if len(phrase) > 1]
    return tuple(long), tuple(phrase for phrase in long if " " not in phrase)


def ordinal(said: str) -> int:
    """The place, from 1, that a text in plain form names, and nothing else; 0 for none."""
    bare = [word for word in said.split() if f" {word} " not in AROUND]
    rest = f" {' '.join(bare)} "
    return next((at for at, names in enumerate(ORDINALS, 1) if is_one(names, rest)), 0)


def counted(word: str) -> int:
    """The number from 1 to 10 that a word is; 0 for none."""
    return next((at for at, names in enumerate(NUMBERS, 1) if is_one(names, f" {word} ")), 0)
