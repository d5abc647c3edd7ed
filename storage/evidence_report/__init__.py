"""The recording evidence report (固证报告) of a sealed session: facts, document, signature."""
