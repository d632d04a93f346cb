"""Conversations with a mail server that leave a transcript: who said what, when, and under which TLS.

The probes import neither pytest nor Ansible: the suite, a script and a lesson use them alike.
"""
