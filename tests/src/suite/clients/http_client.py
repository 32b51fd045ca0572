"""http.client: head and body leave in two sends; one connection for all."""
import http.client
import sys
import threading

case = sys.argv[1]
connection = http.client.HTTPConnection("169.254.169.254", timeout=60)


def ask(method, number, headers, body=None):
    target = "/latest/meta-data/ami-id?case=%s&n=%d" % (case, number)
    connection.request(method, target, body, headers)
    return connection.getresponse().read().decode()


connection.request("PUT", "/latest/api/token", None,
                   {"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Case": case + "/1"})
token = connection.getresponse().read().decode()
ask("GET", 2, {})
ask("GET", 3, {"X-aws-ec2-metadata-token": token})
ask("POST", 4, {}, b"GET /latest/meta-data/decoy HTTP/1.1\r\n\r\n")
ask("POST", 5, {"x-aws-ec2-metadata-token": token}, b"not a head")
print("tid", threading.get_native_id())
print("done", flush=True)
sys.stdin.read()
