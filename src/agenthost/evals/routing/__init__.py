"""How often messages find their task: labelled conversations in many languages, and a scorer for the rules and for a model.

`form` reads the files of `conversations/`, `scenes` plays them, `scoring` compares decisions with the labels, `asking` has a model decide where no rule did, `report` tells.
"""
