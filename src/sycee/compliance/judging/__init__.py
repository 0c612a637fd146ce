"""Rules judged on subjects: conditions over facts, ownership, conflicts; golden cases hold the judge to account."""
