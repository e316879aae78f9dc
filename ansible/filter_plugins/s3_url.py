"""The filter s3_url: an address that lets its bearer download one object of an S3 store for a while.

It is signed as AWS describes under "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". So neither
the node nor the build machine needs a client for S3, and the secret key stays on the build machine.
"""

import datetime
import hashlib
import hmac
import re
import urllib.parse

DOCUMENTATION = """
name: s3_url
short_description: address that lets its bearer download one object of an S3 store
description:
  - Signs the address of an object, so that it can be downloaded without further credentials for a while.
options:
  _input:
    description: Address of the store.
    type: str
    required: true
  bucket:
    description: Bucket with the object.
    type: str
    required: true
  object:
    description: Name of the object.
    type: str
    required: true
  access:
    description: Access key. Without one, the address is not signed.
    type: str
  secret:
    description: Secret key that belongs to the access key.
    type: str
  expires:
    description: For how many seconds the address works.
    type: int
    default: 3600
  now:
    description: Time of the signature, for tests.
    type: raw
"""


def s3_url(endpoint, bucket, object, access="", secret="", expires=3600, now=None):
    if "://" not in endpoint:
        endpoint = "https://" + endpoint
    parts = urllib.parse.urlsplit(endpoint)
    path = "/".join(part.strip("/") for part in ["", parts.path, bucket, object] if part.strip("/"))
    path = "/" + urllib.parse.quote(path, safe="/-_.~")
    if not access:
        return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    found = re.search(r"[./]s3[.-]([a-z0-9-]+)\.amazonaws\.com", "/" + parts.netloc)
    region = found.group(1) if found else "us-east-1"
    now = now or datetime.datetime.now(datetime.timezone.utc)
    day, time = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = "/".join([day, region, "s3", "aws4_request"])
    query = urllib.parse.urlencode(
        sorted(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": access + "/" + scope,
                "X-Amz-Date": time,
                "X-Amz-Expires": str(expires),
                "X-Amz-SignedHeaders": "host",
            }.items()
        ),
        quote_via=urllib.parse.quote,
        safe="-_.~",
    )
    request = "\n".join(["GET", path, query, "host:" + parts.netloc, "", "host", "UNSIGNED-PAYLOAD"])
    signed = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in [day, region, "s3", "aws4_request"]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc, path, query + "&X-Amz-Signature=" + signature, "")
    )


class FilterModule:
    def filters(self):
        return {"s3_url": s3_url}
