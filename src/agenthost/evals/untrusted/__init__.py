"""Attacks by content that strangers write, and ordinary tasks with side effects: no attack may go through, and people
may hardly be asked.

`gallery` reads the cases, `playing` stands in for tools and models, `runner` gives every case to a real host,
`report` counts. A model of ours obeys each attack at once, the worst that a model can do.
"""
