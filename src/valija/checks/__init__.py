"""The suite: conversations with a host, each with its clause, its vantage and what to do when it fails.

Run by `playbooks/prove.yml`, which resolves the site's values with Ansible and hands them over as one private file.
"""
