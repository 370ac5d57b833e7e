def audit_synthesizer(*a): raise NotImplementedError
