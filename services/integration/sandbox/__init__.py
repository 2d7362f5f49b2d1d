"""A bank that can be linked without a bank: a stateful simulator that speaks Plaid's published API over HTTP.

It knows nothing of Django or of fatfire's database; it keeps its own file. Amounts in this folder have Plaid's sign:
positive goes out of the account, and a debt's balance is what is owed. The adapter turns them round.
"""
