# Tests the node with goss and leaves nothing behind. Tests and their values lie in C:\Windows\Temp\goss-upload.
# Reads GOSS_*: the goss_* variables, and what the tests compare with. In inspect mode nothing here fails the build.
$ErrorActionPreference = 'Stop'

$upload = 'C:\Windows\Temp\goss-upload'
$folder = if ($env:GOSS_REMOTE_FOLDER) { $env:GOSS_REMOTE_FOLDER } else { 'C:\Windows\Temp' }
$dir = if ($env:GOSS_REMOTE_PATH) { $env:GOSS_REMOTE_PATH } else { Join-Path $folder 'goss' }
$goss = if ($env:GOSS_DOWNLOAD_PATH) { $env:GOSS_DOWNLOAD_PATH } else { 'C:\Windows\Temp\goss.exe' }
$url = if ($env:GOSS_URL) { $env:GOSS_URL } else {
    "https://github.com/goss-org/goss/releases/download/v$($env:GOSS_VERSION)/goss-alpha-windows-$($env:GOSS_ARCH).exe"
}
$status = 0

try {
    if ($env:GOSS_SKIP_INSTALL -ne 'true') {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -UseBasicParsing -Uri $url -OutFile $goss
    }
    elseif (-not (Test-Path $goss)) {
        $goss = (Get-Command goss.exe).Source
    }
    if (Test-Path $dir) { Remove-Item -Recurse -Force $dir }
    Copy-Item -Recurse $upload $dir
    Set-Location $dir

    $values = @{
        OS                 = 'windows'
        PROVIDER           = $env:GOSS_PROVIDER
        runtime            = $env:GOSS_RUNTIME
        kubernetes_version = $env:GOSS_KUBERNETES_VERSION -replace '^v', ''
        containerd_version = $env:GOSS_CONTAINERD_VERSION
        cni_version        = $env:GOSS_CNI_VERSION -replace '^v', ''
    } | ConvertTo-Json -Compress
    # Windows PowerShell takes the quotes away from a program's argument unless they are escaped.
    $inline = $values -replace '"', '\"'
    $env:GOSS_USE_ALPHA = '1'
    $arguments = @('--gossfile', $env:GOSS_ENTRY_FILE, '--vars', 'vars.yaml', '--vars-inline', $inline, 'validate', '--format', $env:GOSS_FORMAT)
    if ($env:GOSS_FORMAT_OPTIONS) { $arguments += @('--format-options', $env:GOSS_FORMAT_OPTIONS) }
    & $goss @arguments
    if ($LASTEXITCODE -ne 0) {
        Write-Output "goss: the node fails its tests (exit status $LASTEXITCODE)"
        $status = 1
    }
}
catch {
    Write-Output "goss: $_"
    $status = 1
}
finally {
    Set-Location C:\
    Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $upload, $dir
    if ($env:GOSS_SKIP_INSTALL -ne 'true') { Remove-Item -Force -ErrorAction SilentlyContinue $goss }
}
if ($env:GOSS_INSPECT_MODE -eq 'true') { exit 0 }
exit $status
