# Seals the image: sysprep, with cloudbase-init's answers where cloudbase-init is installed.
# -Shutdown ends with the machine off; without it the machine stays on, as on EC2, where Packer stops the instance.
param([switch]$Shutdown)
$ErrorActionPreference = 'Stop'

$sysprep = "$env:SystemRoot\System32\Sysprep\sysprep.exe"
$answers = "$env:ProgramFiles\Cloudbase Solutions\Cloudbase-Init\conf\Unattend.xml"
$end = if ($Shutdown) { '/shutdown' } else { '/quit' }

if (Test-Path $answers) {
    $arguments = @('/generalize', '/oobe', $end, '/quiet', "/unattend:`"$answers`"")
    $run = Start-Process -Wait -PassThru $sysprep -ArgumentList $arguments
    exit $run.ExitCode
}
$launch = "$env:ProgramData\Amazon\EC2-Windows\Launch\Scripts"
if ((-not $Shutdown) -and (Test-Path "$launch\SysprepInstance.ps1")) {
    & "$launch\InitializeInstance.ps1" -Schedule
    & "$launch\SysprepInstance.ps1" -NoShutdown
}
elseif ($Shutdown) {
    & "$env:SystemRoot\System32\shutdown.exe" /s /t 5 /f /d p:4:1
}
