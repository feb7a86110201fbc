"""The supervisor's mind: it judges an agent's work by what the host journalled, never by what the agent says.

`evidence` says by rule which receipts can show that a criterion is met; `judgement` is the shape of a judge's answer and
what is left of it after the rules; `words` is what the judge is told; `program` calls the judge's model. An agent's program
uses the first two.
"""
