-- Addresses were kept as known whoever had written them: from now on an address has to be proven, and is learnt anew.
UPDATE identity SET match_key = NULL WHERE match_key LIKE 'email:%';
