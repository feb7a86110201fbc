"""What else OpenAI's API has: the list of models, embeddings, moderation, pictures, speech, files, batches. One attempt a call.

`asking.py` sends and says what went wrong; the other modules know one part of the API each. What a
provider's `extra` says is for the bodies of chats (those of a batch too) and laid over nothing else.
"""

from agenthost.models.openai.offers.offers import OpenAIOffers

__all__ = ["OpenAIOffers"]
