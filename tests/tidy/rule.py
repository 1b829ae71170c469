"""A rule: a function from a tree to (file, line, what to do), registered under a name."""

RULES = {}


def rule(name):
    def register(function):
        RULES[name] = function
        return function

    return register
