"""GitHub: one repository there, read and changed through its API, and how it should be set up.

Takes a repository's name and a token, gives typed records. The only place that imports PyGithub, and it does so late:
the extra `github` brings it. Decides nothing: what a pull request may hold is the policy's, what it is worth is the
arbiter's business.
"""
