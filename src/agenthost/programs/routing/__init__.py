"""Which task a message is for: rules that are sure, a ranking by words, and one question to a small model where no rule is.

`decide` asks the `rules` in their order (`buttons` and `commands` are what people press and type, `fits` says whether words can be an
answer, `lexicon` what they mean in several languages, `text` brings words to one form). `ranking` puts tasks in their order. `digest` tells a
model of a scene in few words and reads its answer; `program` is the task that asks it. Pure, like every program.
"""

from agenthost.programs.routing.program import RoutingProgram, inputs
from agenthost.programs.routing.ranking import MOST_CANDIDATES, rank
from agenthost.programs.routing.rules import decide, given
from agenthost.programs.routing.text import MESSAGE_TERMS, TOPIC_TERMS, terms

__all__ = [
    "MESSAGE_TERMS",
    "MOST_CANDIDATES",
    "TOPIC_TERMS",
    "RoutingProgram",
    "decide",
    "given",
    "inputs",
    "rank",
    "terms",
]
