"""The record of a viewing (回放查看笔录): what was sent to whom, and whether those bytes still stand."""
