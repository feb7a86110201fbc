"""The supervisor's mind: it judges an agent's work by what the host journalled, never by what the agent says.

`receipts` are what the host saw of a task, made by the agent's program as events come; `evidence` says by rule which of
them can show that a criterion is met; `judgement` is the shape of a judge's answer and what is left of it after the
rules; `words` is what the judge is told; `program` calls the judge's model. An agent's program uses the first three.
"""
