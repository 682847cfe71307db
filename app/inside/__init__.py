"""What runs inside a sandbox, around code that a user typed: the standard library alone, and nothing else of the app.

It is imported as `inside` there, since the rest of `app` cannot be seen; its modules name one another relatively.
"""
