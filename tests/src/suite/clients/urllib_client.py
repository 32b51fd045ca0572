"""urllib: a connection for each request, header names capitalised its own way."""
import sys
import threading
import urllib.request

case = sys.argv[1]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(number, headers):
    url = "http://169.254.169.254/latest/meta-data/ami-id?case=%s&n=%d" % (case, number)
    return opener.open(urllib.request.Request(url, headers=headers), timeout=60).read()


put = urllib.request.Request("http://169.254.169.254/latest/api/token", method="PUT",
                             headers={"X-aws-ec2-metadata-token-ttl-seconds": "60",
                                      "X-Case": case + "/1"})
token = opener.open(put, timeout=60).read().decode()
ask(2, {})
ask(3, {"X-aws-ec2-metadata-token": token})
print("tid", threading.get_native_id())
print("done", flush=True)
sys.stdin.read()
