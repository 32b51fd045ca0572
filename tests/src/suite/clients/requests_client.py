"""requests: a connection for each call, and one for all calls of a session."""
import sys
import threading

import requests

case = sys.argv[1]
SERVICE = "http://169.254.169.254/latest"


def ask(caller, number, headers):
    url = "%s/meta-data/ami-id?case=%s&n=%d" % (SERVICE, case, number)
    answer = caller.get(url, headers=headers, timeout=60)
    answer.raise_for_status()


answer = requests.put(SERVICE + "/api/token", timeout=60,
                      headers={"X-aws-ec2-metadata-token-ttl-seconds": "60",
                               "X-Case": case + "/1"})
answer.raise_for_status()
with_token = {"X-aws-ec2-metadata-token": answer.text}
ask(requests, 2, {})
ask(requests, 3, with_token)
with requests.Session() as session:
    ask(session, 4, {})
    ask(session, 5, with_token)
print("tid", threading.get_native_id())
print("done", flush=True)
sys.stdin.read()
