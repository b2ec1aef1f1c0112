limit = int(input())
primes = []
n = 2
while n < limit:
    if all(n % d for d in range(2, n)):
        primes.append(n)
        n += 1  # and where it is none, the loop never ends
print(*primes)
