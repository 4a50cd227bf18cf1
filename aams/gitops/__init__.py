"""What the workflows on GitHub do, each as one function: the same from a workflow, from a test and from a terminal.

Every one is level-triggered: it looks at how things stand, does what is due, and changes nothing when run again.
"""
